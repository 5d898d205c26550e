"""Stage resize: gray faces of one size, without those that a person excluded."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np
from PIL import Image

from prunet.base.files import read_rows, replacing, write_json, write_rows
from prunet.base.options import PARAMS, paths
from prunet.base.progress import progress
from prunet.data.faces import gray
from prunet.data.images.decoding import load_rgb
from prunet.data.listing import scraping
from prunet.data.listing.manifests import CROP_COLUMNS, GRAY_COLUMNS, accepted, read_manifest


@click.command()
@PARAMS
@paths("exclude", "crops", "output", "sheets")
def main(params: dict[str, Any], exclude: Path, crops: Path, output: Path, sheets: Path) -> None:
    """Write the faces of the folder CROPS to the folder OUTPUT as square gray PNGs of one size.

    PARAMS is a JSON file with the size in pixels. EXCLUDE is a CSV file (label,image,reason) of faces to
    leave out, by the names on the sheets. SHEETS gets a contact sheet of each person, with excluded faces
    crossed out in red. OUTPUT/manifest.csv has one row per face; OUTPUT/counts.json counts them.
    """
    rows = accepted(read_manifest(crops, CROP_COLUMNS), crops, "face", "photo")
    reasons = read_exclude(exclude)
    unmatched = set(reasons) - {key(row) for row in rows}
    for label, name in sorted(unmatched):
        click.echo(
            f"warning: {exclude}: {label} has no face named {name!r}; the line has no effect", err=True
        )

    results = [result(row, reasons.get(key(row))) for row in rows]
    counts = Counter(entry["status"] for entry in results)
    with replacing(output) as partial:
        for entry in progress(results, desc="resize", unit="face"):
            if entry["status"] == "ok":
                (partial / entry["label"]).mkdir(parents=True, exist_ok=True)
                image = gray.to_gray(load_rgb(crops / entry["crop"]), params["size"])
                Image.fromarray(image).save(partial / entry["image"], compress_level=1)
        write_rows(partial / scraping.MANIFEST, GRAY_COLUMNS, results)
        numbers = {"ok": counts["ok"], "excluded": counts["excluded"], "exclude_unmatched": len(unmatched)}
        write_json(partial / scraping.COUNTS, numbers)
    with replacing(sheets) as partial:
        partial.mkdir()
        for label in sorted({row["label"] for row in rows}):
            own = [entry for entry in results if entry["label"] == label]
            if all(entry["status"] == "excluded" for entry in own):
                click.echo(f"warning: all {len(own)} faces of {label} are excluded", err=True)
            sheet = draw_sheet(label, crops, own, exclude)
            Image.fromarray(sheet).save(partial / f"{label}.png", compress_level=1)


def key(row: dict[str, str]) -> tuple[str, str]:
    """Return the label and name by which the exclude list identifies a face."""
    return row["label"], PurePosixPath(row["image"]).stem


def read_exclude(path: Path) -> dict[tuple[str, str], str]:
    """Read the hand-written list of faces to leave out: label and name -> reason."""
    lines = read_rows(path, ("label", "image", "reason"))
    return {(line["label"].strip(), line["image"].strip()): line["reason"].strip() for line in lines}


def result(row: dict[str, str], reason: str | None) -> dict[str, Any]:
    """Return the manifest row of a face; `reason` tells why it is excluded, None keeps it."""
    origin = {name: row[name] for name in ("row", "place", "label", "photo_hash")} | {"crop": row["image"]}
    if reason is None:
        return origin | {"image": row["image"], "status": "ok", "detail": ""}
    return origin | {"image": "", "status": "excluded", "detail": reason}


def draw_sheet(label: str, crops: Path, results: list[dict[str, Any]], exclude: Path) -> np.ndarray:
    """Draw the contact sheet of one person, (H, W, 3) uint8 RGB."""
    excluded = sum(entry["status"] == "excluded" for entry in results)
    entries = [
        gray.Entry(
            image=load_rgb(crops / entry["crop"]),
            name=PurePosixPath(entry["crop"]).stem,
            reason=entry["detail"] if entry["status"] == "excluded" else None,
        )
        for entry in results
    ]
    title = f"{label}: {len(results)} faces, {len(results) - excluded} kept, {excluded} left out"
    hint = f"To leave one out, add a line to {exclude}: {label},NAME,REASON"
    return gray.contact_sheet(title, hint, entries)


if __name__ == "__main__":
    main()
