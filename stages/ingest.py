"""Stage ingest: fetch the photos of a scraping list."""

import os
import shutil
from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.faces import scraping
from prunet.faces.fetching import fetch_all, key


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
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    required=True,
    help="Seconds that one try may take, from connecting to the last byte; also the longest wait before "
    "another try.",
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
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(source: Path, store: Path, output: Path, metrics: Path, **options: Any) -> None:
    """Fetch the images of a list into the folder OUTPUT, as OUTPUT/<label>/<hash>.<ext>.

    OUTPUT/manifest.csv says of each row of the list what became of it and why; METRICS (JSON) counts
    the rows by that. OUTPUT is replaced as a whole, and only if at least one row gave an image.
    """
    _keep_apart(("the output", output), ("the source", source), ("the store", store))
    rows = scraping.screen(scraping.read_list(source))
    urls = list(dict.fromkeys(row["url"] for row in rows if not row["status"]))
    folder = source if source.is_dir() else source.parent
    with replacing(output) as partial:
        bodies = partial / ".bodies"  # no label starts with a dot
        bodies.mkdir(parents=True)
        scraping.settle(rows, fetch_all(urls, folder, bodies, store, **options))
        scraping.require_images(rows, source)
        _place(rows, bodies, partial)
        write_rows(partial / scraping.MANIFEST, scraping.COLUMNS, [_encodable(row) for row in rows])
    write_json(metrics, scraping.count(rows))


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
