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
from prunet.base.processes import run_and_exit
from prunet.data.fetching import conflicts, report
from prunet.data.fetching.bodies import Settings
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.markdown import code
from prunet.data.fetching.store import Store, key
from prunet.data.listing import labels, scraping
from prunet.data.listing.source import read_list


@click.command()
@PARAMS
@paths("output")
def main(params: dict[str, Any], output: Path) -> None:
    """Fetch the images of a scraping list into OUTPUT/<label>/<hash>.<ext>.

    The list is `source` in the JSON file PARAMS: a CSV file (UTF-8) with the header label,url, whose urls are
    http, https or data addresses or paths relative to the list; or a folder of label/photo.jpg. Images that
    were downloaded before are taken from the folder `store`; delete it to fetch all of them again.

    OUTPUT/manifest.csv has the outcome of every row, OUTPUT/report.md advice on the failures, and
    OUTPUT/counts.json the number of rows by outcome. OUTPUT is replaced as a whole, and only if at least one
    row yielded an image; otherwise, the report is OUTPUT-report.md.
    """
    source, store, min_images = Path(params["source"]), Path(params["store"]), params["min_images"]
    _require_disjoint({"the output": output, "the source": source, "the store": store})
    rows = scraping.screen(read_list(source))
    labels.leave_out(rows, min_images, source)
    _warn(labels.list_warnings(labels.find(rows, min_images), min_images))
    failed = output.with_name(f"{output.name}-{scraping.REPORT}")
    with replacing(output) as partial:
        bodies = partial / ".bodies"  # no label starts with a dot
        bodies.mkdir(parents=True)
        results = _fetch(rows, params, source, bodies)
        found = labels.find(rows, min_images)
        across, within = conflicts.find(rows, results)
        warnings = [*labels.list_warnings(found, min_images, code)]
        warnings += labels.image_warnings(found, min_images, code)
        text = report.write(rows, across, within, warnings, str(source), str(store))
        if all(row["status"] != "ok" for row in rows):
            with replacing(failed) as path:
                path.write_text(text, encoding="utf-8")
            scraping.refuse(rows, source, failed)
        _move_images(rows, bodies, partial)
        write_rows(partial / scraping.MANIFEST, scraping.COLUMNS, [_encodable(row) for row in rows])
        (partial / scraping.REPORT).write_text(text, encoding="utf-8")
        counts = scraping.count(rows)
        counts |= {"label-conflicts": len(across), "changed": len(report.changed(rows))}
        counts |= {f"labels-{name.replace('_', '-')}": len(some) for name, some in found._asdict().items()}
        write_json(partial / scraping.COUNTS, counts)
    failed.unlink(missing_ok=True)  # of an earlier run
    _warn(labels.image_warnings(found, min_images))
    click.echo(f"{report.summary(rows, across)} See {output / scraping.REPORT}.")


def _fetch(
    rows: list[scraping.Row], params: dict[str, Any], source: Path, bodies: Path
) -> dict[str, scraping.Row]:
    """Fetch the rows without a status, fill in their outcome, and return the results of their urls."""
    urls = list(dict.fromkeys(row["url"] for row in rows if not row["status"]))
    settings = Settings(**{name: params[name] for name in Settings._fields})
    own = source.is_dir()  # the links in a folder are its owner's; a list may come from a stranger
    folder = source if own else source.parent
    results = fetch_all(urls, folder, bodies, Store(Path(params["store"])), settings, links_out=own)
    scraping.settle(rows, results)
    return results


def _warn(sentences: list[str]) -> None:
    for sentence in sentences:
        click.echo(f"warning: {sentence}", err=True)


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
    run_and_exit(main)
