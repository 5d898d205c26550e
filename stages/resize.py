"""Stage resize: gray faces of one size, without those that a person excluded."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import click
from PIL import Image

from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import PARAMS, paths
from prunet.base.progress import progress
from prunet.data.faces import exclusion, gray, sheets
from prunet.data.images.decoding import load_rgb
from prunet.data.listing import scraping
from prunet.data.listing.manifests import CROP_COLUMNS, GRAY_COLUMNS, accepted, read_manifest

LINES = "lines.csv"  # beside the sheets: a line for each face, to copy into the exclude list


@click.command()
@PARAMS
@paths("exclude", "photos", "crops", "output", "folder")
def main(
    params: dict[str, Any], exclude: Path, photos: Path, crops: Path, output: Path, folder: Path
) -> None:
    """Write the faces of the folder CROPS to the folder OUTPUT as square gray PNGs of one size.

    PARAMS is a JSON file with the size in pixels. EXCLUDE is a CSV file (label,image,reason) of faces to
    leave out, by their names on the sheets or by their photos' names in the list, of which the folder PHOTOS
    has the manifest. FOLDER gets a contact sheet of each person, with excluded faces crossed out in red.
    OUTPUT/manifest.csv has one row per face; OUTPUT/counts.json counts them.
    """
    rows = accepted(read_manifest(crops, CROP_COLUMNS), crops, "face", "photo")
    urls = {row["row"]: row["url"] for row in read_manifest(photos, scraping.COLUMNS)}
    faces = [row | {"url": urls.get(row["row"], "")} for row in rows]
    lines = exclusion.read(exclude)
    reasons, problems = exclusion.find(lines, faces)
    for problem in problems:
        click.echo(f"warning: {exclude}: {problem}", err=True)
    results = [result(row, reasons.get(row["row"])) for row in rows]
    counts = Counter(entry["status"] for entry in results)
    numbers = {"ok": counts["ok"], "excluded": counts["excluded"], "exclude_unmatched": len(problems)}
    with replacing(output) as partial:
        for entry in progress(results, desc="resize", unit="face"):
            if entry["status"] == "ok":
                (partial / entry["label"]).mkdir(parents=True, exist_ok=True)
                image = gray.to_gray(load_rgb(crops / entry["crop"]), params["size"])
                Image.fromarray(image).save(partial / entry["image"], compress_level=1)
        write_rows(partial / scraping.MANIFEST, GRAY_COLUMNS, results)
        write_json(partial / scraping.COUNTS, numbers)
    write_sheets(folder, crops, rows, reasons, exclude)
    click.echo(f"{counts['ok']} faces kept, {counts['excluded']} left out by {exclude}. See {folder}.")


def result(row: dict[str, str], reason: str | None) -> dict[str, Any]:
    """Return the manifest row of a face; `reason` tells why it is excluded, None keeps it."""
    origin = {name: row[name] for name in ("row", "place", "label", "photo_hash")} | {"crop": row["image"]}
    if reason is None:
        return origin | {"image": row["image"], "status": "ok", "detail": ""}
    return origin | {"image": "", "status": "excluded", "detail": reason}


def write_sheets(
    folder: Path, crops: Path, rows: list[dict[str, str]], reasons: dict[str, str], exclude: Path
) -> None:
    """Write the contact sheet of each person, and lines that would leave out the faces on them."""
    digits = exclusion.shown_digits(rows)
    lines = []
    with replacing(folder) as partial:
        partial.mkdir()
        for label in sorted({row["label"] for row in rows}):
            own = [row for row in rows if row["label"] == label]
            if all(row["row"] in reasons for row in own):
                click.echo(f"warning: every face of {label} is excluded", err=True)
            entries = sheets.doubtful_first(
                [
                    sheets.Entry(
                        image=load_rgb(crops / row["image"]),
                        name=PurePosixPath(row["image"]).stem[:digits],
                        row=row["row"],
                        usable=int(row["usable"]),
                        doubt=float(row["doubt"]) if row["doubt"] else None,
                        reason=reasons.get(row["row"]),
                    )
                    for row in own
                ]
            )
            lines += [exclusion.Line(label, entry.name, entry.reason or "") for entry in entries]
            sheet = sheets.contact_sheet(label, entries, exclude, folder / LINES)
            Image.fromarray(sheet).save(partial / f"{label}.png", compress_level=1)
        write_rows(partial / LINES, exclusion.COLUMNS, [line._asdict() for line in lines])


if __name__ == "__main__":
    main()
