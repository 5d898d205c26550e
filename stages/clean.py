"""Clean the faces on a page in the browser (a command-line tool, not a DVC stage)."""

import asyncio
import webbrowser
from pathlib import Path
from threading import Thread
from typing import Any

import click
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from prunet.base.errors import InputError
from prunet.base.files import read_rows
from prunet.data.faces import doubts
from prunet.data.faces.cleaning.decisions import Decisions
from prunet.data.faces.cleaning.server import Faces, Page, serve
from prunet.data.listing import scraping
from prunet.data.listing.manifests import CROP_COLUMNS, accepted, read_manifest

PARAMS = Path("params.yaml")
FIRST = "run `dvc repro resize` first"


@click.command()
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open the page in a browser.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Of the page.  [default: any free one]"
)
@click.option(
    "--exclude",
    type=click.Path(path_type=Path),
    help="List of faces left out or moved.  [default: resize.exclude of params.yaml]",
)
@click.argument("photos", type=click.Path(path_type=Path), default="data/photos")
@click.argument("crops", type=click.Path(path_type=Path), default="data/crops")
@click.argument("sheets", type=click.Path(path_type=Path), default="data/contact-sheets")
def main(browser: bool, port: int, exclude: Path | None, photos: Path, crops: Path, sheets: Path) -> None:
    """Show all faces on a page in the browser, the doubtful first, to leave wrong ones out or move them.

    PHOTOS, CROPS and SHEETS are the folders of the stages ingest, crop and resize; by default those of
    this folder. Every decision is saved at once in the exclude list, which `dvc repro` then follows. The page
    is open to this machine alone. It ends by its button "Finish", a minute after its window was closed, or by
    Ctrl-C.
    """
    faces = read(photos, crops, sheets)
    decisions = Decisions(exclude or listed(PARAMS), faces.rows)
    before = decisions.decided

    def ready(address: str) -> None:
        click.echo(f"The page is open at {address} (Ctrl-C ends it).")
        if browser:  # in a thread: browsers for terminals return when they end
            Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    async def run() -> None:
        await serve(Page(faces, decisions), port, ready)

    try:
        asyncio.run(run())
    except KeyboardInterrupt:
        click.echo()
    moved = sum(line.move_to != "" for line in decisions.decided.values())
    left_out = len(decisions.decided) - moved
    click.echo(f"{decisions.path}: {left_out} of {len(faces.rows)} faces left out, {moved} moved.")
    click.echo("Nothing was changed." if decisions.decided == before else "Next: dvc repro")


def read(photos: Path, crops: Path, sheets: Path) -> Faces:
    """Read the faces, the addresses of their photos, and the doubts about them.

    Raises:
        InputError: a stage has not run yet, or the folders do not fit together.
    """
    for folder, file in ((photos, scraping.MANIFEST), (crops, scraping.MANIFEST), (sheets, doubts.TABLE)):
        if not (folder / file).exists():
            raise InputError(f"there are no faces to clean: {folder / file} does not exist; {FIRST}.")
    rows = accepted(read_manifest(crops, CROP_COLUMNS), crops, "face", "photo")
    urls = {row["row"]: row["url"] for row in read_manifest(photos, scraping.COLUMNS)}
    table = read_rows(sheets / doubts.TABLE, doubts.COLUMNS)
    if [row["image"] for row in table] != [row["image"] for row in rows]:
        raise InputError(f"{sheets / doubts.TABLE} is about other faces than {crops}; {FIRST}.")
    return Faces([row | {"url": urls.get(row["row"], "")} for row in rows], table, crops, photos)


def listed(params: Path) -> Path:
    """Return the exclude list that params.yaml names.

    Raises:
        InputError: it names none.
    """
    try:
        values: Any = YAML(typ="safe", pure=True).load(params.read_text(encoding="utf-8"))
        return Path(values["resize"]["exclude"])
    except (OSError, ValueError, YAMLError, KeyError, TypeError):
        raise InputError(
            f"{params} of this folder has no resize.exclude: name the list by --exclude."
        ) from None


if __name__ == "__main__":
    main()
