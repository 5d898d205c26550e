"""Stage `ingest`: fetch the photos of a scraping list."""

import os
import shutil
from itertools import permutations
from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import PARAMS, paths
from prunet.data.fetching import conflicts, report
from prunet.data.fetching.bodies import Settings
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.store import Store, key
from prunet.data.listing import scraping


@click.command()
@PARAMS
@paths("output")
def main(params: dict[str, Any], output: Path) -> None:
    """Fetch the images of a scraping list into OUTPUT/<label>/<hash>.<ext>.

    The list is `source` in the JSON file PARAMS: a CSV file (UTF-8) with the header label,url, whose urls are
    http or https addresses or paths relative to the list; or a folder of label/photo.jpg. Images that were
    downloaded before are taken from the folder `store`; delete it to fetch all of them again.

    OUTPUT/manifest.csv has the outcome of every row, OUTPUT/report.md advice on the failures, and
    OUTPUT/counts.json the number of rows by outcome. OUTPUT is replaced as a whole, and only if at least one
    row yielded an image.
    """
    source, store = Path(params["source"]), Path(params["store"])
    settings = Settings(**{name: params[name] for name in Settings._fields})
    _require_disjoint({"the output": output, "the source": source, "the store": store})
    rows = scraping.screen(scraping.read_list(source))
    with replacing(output) as partial:
        bodies = partial / ".bodies"  # no label starts with a dot
        bodies.mkdir(parents=True)
        urls = list(dict.fromkeys(row["url"] for row in rows if not row["status"]))
        folder = source if source.is_dir() else source.parent
        results = fetch_all(urls, folder, bodies, Store(store), settings)
        scraping.settle(rows, results)
        scraping.require_images(rows, source)
        _move_images(rows, bodies, partial)
        write_rows(partial / scraping.MANIFEST, scraping.COLUMNS, [_encodable(row) for row in rows])
        across, within = conflicts.find(rows, results)
        text = report.write(rows, across, within, str(source), str(store))
        (partial / scraping.REPORT).write_text(text, encoding="utf-8")
        counts = scraping.count(rows)
        counts |= {"label-conflicts": len(across), "changed": len(report.changed(rows))}
        write_json(partial / scraping.COUNTS, counts)
    click.echo(f"{report.summary(rows, across)} See {output / scraping.REPORT}.")


def _require_disjoint(paths: dict[str, Path]) -> None:
    for (name, path), (other_name, other) in permutations(paths.items(), 2):
        if path.resolve().is_relative_to(other.resolve()):
            raise InputError(f"{name} {path} lies in {other_name} {other}; choose another path.")


def _encodable(row: scraping.Row) -> scraping.Row:
    # File names need not be UTF-8; their other bytes are written as \\udcXX.
    return {column: value.encode("utf-8", "backslashreplace").decode() for column, value in row.items()}


def _move_images(rows: list[scraping.Row], bodies: Path, output: Path) -> None:
    for row in rows:
        if row["status"] == "ok":
            (output / row["label"]).mkdir(exist_ok=True)
            os.replace(bodies / key(row["url"]), output / row["image"])  # noqa: PTH105
    shutil.rmtree(bodies)  # duplicates


if __name__ == "__main__":
    main()
