"""Stage resize: gray faces of one size, without those that a person excluded, and what helps to find them."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import click
from PIL import Image

from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.progress import progress
from prunet.data.faces import doubts, embedding, exclusion, gray, likeness, sheets
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

    PARAMS is a JSON file with the size in pixels and the distance of near-duplicates. EXCLUDE is a CSV file
    (label,image,reason and perhaps move_to) of faces to leave out, or to move to another person, by their
    names on the sheets or by their photos' names in the list, of which the folder PHOTOS has the manifest.
    FOLDER gets a contact sheet of each person, with these faces crossed out in red, and a table of what is
    doubtful about each face.
    OUTPUT/manifest.csv has one row per face, with its doubts; OUTPUT/counts.json counts them.
    """
    rows = accepted(read_manifest(crops, CROP_COLUMNS), crops, "face", "photo")
    urls = {row["row"]: row["url"] for row in read_manifest(photos, scraping.COLUMNS)}
    faces = [row | {"url": urls.get(row["row"], "")} for row in rows]
    lines = exclusion.read(exclude)
    decided, problems = exclusion.find(lines, faces)
    for problem in problems:
        click.echo(f"warning: {exclude}: {problem}", err=True)
    results = [result(row, decided.get(row["row"])) for row in rows]
    table = find_doubts(rows, results, crops, photos, params["near_duplicate_distance"])
    results = [
        entry | {"doubt_score": doubt["score"], "doubt_reasons": doubt["reasons"]}
        for entry, doubt in zip(results, table, strict=True)
    ]
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
    for label in sorted(
        {row["label"] for row in rows} - {r["label"] for r in results if r["status"] == "ok"}
    ):
        click.echo(f"warning: every face of {label} is excluded", err=True)
    write_sheets(folder, crops, rows, decided, table, exclude)
    moved = sum(line.move_to != "" for line in decided.values())
    moves = f", {moved} moved to another person" if moved else ""
    click.echo(f"{counts['ok']} faces kept, {counts['excluded']} left out by {exclude}{moves}. See {folder}.")


def result(row: dict[str, str], line: exclusion.Line | None) -> dict[str, Any]:
    """Return the manifest row of a face; `line` leaves it out or moves it, None keeps it."""
    origin = {name: row[name] for name in ("row", "place", "label", "photo_hash")} | {"crop": row["image"]}
    if line is None:
        return origin | {"image": row["image"], "status": "ok", "detail": ""}
    if not line.move_to:
        return origin | {"image": "", "status": "excluded", "detail": line.reason}
    image = f"{line.move_to}/{PurePosixPath(row['image']).name}"
    return origin | {"label": line.move_to, "image": image, "status": "ok", "detail": decision(line)}


def decision(line: exclusion.Line) -> str:
    """Return why a face is not among its label's."""
    move = f"moved to {line.move_to}" if line.move_to else ""
    return ": ".join(text for text in (move, line.reason) if text)


def find_doubts(
    rows: list[dict[str, str]], results: list[dict[str, Any]], crops: Path, photos: Path, distance: int
) -> list[dict[str, Any]]:
    """Return the table of doubts about faces with the manifest rows `results`."""
    vectors = likeness.load(crops, len(rows), embedding.SIZE) if (crops / likeness.FILE).exists() else None
    people, kept = [entry["label"] for entry in results], [entry["status"] == "ok" for entry in results]
    return doubts.find(rows, people, kept, crops, photos, vectors, distance)


def write_sheets(
    folder: Path,
    crops: Path,
    rows: list[dict[str, str]],
    decided: dict[str, exclusion.Line],
    table: list[dict[str, Any]],
    exclude: Path,
) -> None:
    """Write the contact sheet of each person, the table of doubts, and lines to leave out the faces."""
    digits = exclusion.shown_digits(rows)
    lines = []
    with replacing(folder) as partial:
        partial.mkdir()
        for label in sorted({row["label"] for row in rows}):
            entries = sheets.doubtful_first(
                [
                    sheets.Entry(
                        image=load_rgb(crops / row["image"]),
                        name=PurePosixPath(row["image"]).stem[:digits],
                        row=row["row"],
                        usable=int(row["usable"]),
                        doubt=doubt["score"],
                        reason=decision(decided[row["row"]]) if row["row"] in decided else None,
                    )
                    for row, doubt in zip(rows, table, strict=True)
                    if row["label"] == label
                ]
            )
            for entry in entries:
                line = decided.get(entry.row, exclusion.Line(label, entry.name, ""))
                lines.append(line._replace(label=label, image=entry.name))
            sheet = sheets.contact_sheet(label, entries, exclude, folder / LINES)
            Image.fromarray(sheet).save(partial / f"{label}.png", compress_level=1)
        exclusion.write(partial / LINES, lines)
        write_rows(partial / doubts.TABLE, doubts.COLUMNS, table)


if __name__ == "__main__":
    run_and_exit(main)
