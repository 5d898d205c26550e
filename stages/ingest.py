"""Stage ingest: fetch the photos of a scraping list."""

import os
import shutil
from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.data.fetching import conflicts, report
from prunet.data.fetching.bodies import Limits
from prunet.data.fetching.concurrency import fetch_all
from prunet.data.fetching.store import Store, key
from prunet.data.listing import scraping


@click.command(context_settings=UNDERSCORES)
@click.option(
    "--source",
    type=click.Path(path_type=Path),
    required=True,
    help="The list: a CSV file (UTF-8) with the header label,url, where url is an http or https address "
    "or a path relative to the list; or a folder of label/photo.jpg.",
)
@click.option("--concurrency", type=click.IntRange(1), required=True, help="Urls fetched at a time.")
@click.option(
    "--host-concurrency", type=click.IntRange(1), required=True, help="Urls of one host fetched at a time."
)
@click.option(
    "--host-delay",
    type=click.FloatRange(0),
    required=True,
    help="Least seconds between the beginnings of two tries at one host.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    required=True,
    help="Seconds that one try may take, from looking up the host to the last byte, even if they trickle; "
    "also the longest wait before another try.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    required=True,
    help="Further tries after a failed connection or the HTTP status 429, 500, 502, 503 or 504.",
)
@click.option("--max-bytes", type=click.IntRange(1), required=True, help="Largest file, in bytes.")
@click.option(
    "--max-pixels", type=click.IntRange(1), required=True, help="Largest image, in pixels (width x height)."
)
@click.option("--user-agent", required=True, help="How to name ourselves to servers.")
@click.option(
    "--store",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder that keeps each image fetched over http, so that an interrupted or extended run goes on "
    "from there; delete it to fetch all of them afresh.",
)
@click.option(
    "--private-addresses",
    is_flag=True,
    help="Also ask machines that are not on the public internet: this one, those of a private network.",
)
@click.option(
    "--recheck",
    is_flag=True,
    help="Ask again for each image in the store whether it has changed. The stored one is used all the same; "
    "the report names those that changed.",
)
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(
    source: Path,
    store: Path,
    output: Path,
    metrics: Path,
    timeout: float,
    retries: int,
    max_bytes: int,
    max_pixels: int,
    recheck: bool,
    **options: Any,
) -> None:
    """Fetch the images of a list into the folder OUTPUT, as OUTPUT/<label>/<hash>.<ext>.

    OUTPUT/manifest.csv says of each row of the list what became of it and why, OUTPUT/report.md what to do
    about it; METRICS (JSON) counts the rows. OUTPUT is replaced as a whole, and only if at least one row gave
    an image.
    """
    _keep_apart(("the output", output), ("the source", source), ("the store", store))
    rows = scraping.screen(scraping.read_list(source))
    urls = list(dict.fromkeys(row["url"] for row in rows if not row["status"]))
    folder = source if source.is_dir() else source.parent
    limits = Limits(timeout, retries, max_bytes, max_pixels, recheck)
    with replacing(output) as partial:
        bodies = partial / ".bodies"  # no label starts with a dot
        bodies.mkdir(parents=True)
        results = fetch_all(urls, folder, bodies, Store(store), limits, **options)
        scraping.settle(rows, results)
        scraping.require_images(rows, source)
        _place(rows, bodies, partial)
        write_rows(partial / scraping.MANIFEST, scraping.COLUMNS, [_encodable(row) for row in rows])
        across, within = conflicts.find(rows, results)
        text = report.write(rows, across, within, str(source), str(store))
        (partial / scraping.REPORT).write_text(text, encoding="utf-8")
    write_json(
        metrics, scraping.count(rows) | {"label-conflicts": len(across), "changed": len(report.changed(rows))}
    )
    click.echo(f"{report.summary(rows, across)} See {output / scraping.REPORT}.")


def _keep_apart(*places: tuple[str, Path]) -> None:
    for name, place in places:
        for other_name, other in places:
            if name != other_name and other.resolve() in (place.resolve(), *place.resolve().parents):
                raise InputError(f"{name} {place} lies in {other_name} {other}: choose another place.")


def _encodable(row: scraping.Row) -> scraping.Row:
    # The name of a file need not be UTF-8: its other bytes are written as \\udcXX.
    return {column: value.encode("utf-8", "backslashreplace").decode() for column, value in row.items()}


def _place(rows: list[scraping.Row], bodies: Path, output: Path) -> None:
    for row in rows:
        if row["status"] == "ok":
            (output / row["label"]).mkdir(exist_ok=True)
            os.replace(bodies / key(row["url"]), output / row["image"])  # noqa: PTH105
    shutil.rmtree(bodies)  # what is left are duplicates


if __name__ == "__main__":
    main()
