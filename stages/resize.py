"""Stage resize: gray faces of one size, less those that a person has left out."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np
from PIL import Image
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.base.files import read_rows, replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.data.decoding import load_rgb
from prunet.data.faces import gray
from prunet.data.listing import quality


@click.command(context_settings=UNDERSCORES)
@click.option(
    "--size", type=click.IntRange(1), required=True, help="Height and width of a gray face, in pixels."
)
@click.option(
    "--exclude",
    type=click.Path(path_type=Path),
    required=True,
    help="CSV with the columns label,image,reason: the faces to leave out, by their names on the sheets.",
)
@click.argument("crops", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("sheets", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(size: int, exclude: Path, crops: Path, output: Path, sheets: Path, metrics: Path) -> None:
    """Write the faces of the folder CROPS as square grayscale PNGs of one size to the folder OUTPUT.

    SHEETS gets a contact sheet of each person, with the name of each face below it and those left out
    crossed out in red. OUTPUT/manifest.csv has one row for each face; METRICS (JSON) counts them.
    """
    manifest = crops / "manifest.csv"
    rows = [row for row in quality.read_manifest(crops, quality.CROP_COLUMNS) if row["status"] == "ok"]
    if not rows:
        raise InputError(f"{crops} has no face: see {manifest} for the reason of each photo.")
    reasons = read_exclude(exclude)
    unmatched = set(reasons) - {key(row) for row in rows}
    for label, name in sorted(unmatched):
        click.echo(f"{exclude}: no face of {label} is named {name!r}; the line has no effect", err=True)

    results = [result(row, reasons.get(key(row))) for row in rows]
    with replacing(output) as partial:
        for entry in tqdm(results, desc="resize", unit="face", disable=None):
            if entry["status"] == "ok":
                (partial / entry["label"]).mkdir(parents=True, exist_ok=True)
                image = gray.to_gray(load_rgb(crops / entry["crop"]), size)
                Image.fromarray(image).save(partial / entry["image"], compress_level=1)
        write_rows(partial / "manifest.csv", quality.GRAY_COLUMNS, results)
    with replacing(sheets) as partial:
        partial.mkdir()
        for label in sorted({row["label"] for row in rows}):
            own = [entry for entry in results if entry["label"] == label]
            if all(entry["status"] == "excluded" for entry in own):
                click.echo(f"label {label}: all of its {len(own)} faces are left out", err=True)
            Image.fromarray(draw_sheet(label, crops, own, exclude)).save(
                partial / f"{label}.png", compress_level=1
            )
    counts = Counter(entry["status"] for entry in results)
    write_json(
        metrics,
        {"ok": counts["ok"], "excluded": counts["excluded"], "exclude_unmatched": len(unmatched)},
    )


def key(row: dict[str, str]) -> tuple[str, str]:
    """Return label and name of a face: what a line of the exclude list names."""
    return row["label"], PurePosixPath(row["image"]).stem


def read_exclude(path: Path) -> dict[tuple[str, str], str]:
    """Read the hand-written list of faces to leave out: label and name -> reason."""
    lines = read_rows(path, ("label", "image", "reason"))
    return {(line["label"].strip(), line["image"].strip()): line["reason"].strip() for line in lines}


def result(row: dict[str, str], reason: str | None) -> dict[str, Any]:
    """Return the manifest row of a crop; `reason` says why it is left out, None keeps it."""
    about = {name: row[name] for name in ("row", "place", "label", "photo_hash")} | {"crop": row["image"]}
    if reason is None:
        return about | {"image": row["image"], "status": "ok", "detail": ""}
    return about | {"image": "", "status": "excluded", "detail": reason}


def draw_sheet(label: str, crops: Path, results: list[dict[str, Any]], exclude: Path) -> np.ndarray:
    """Draw the contact sheet of one person: (H, W, 3) uint8, RGB."""
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
    return gray.contact_sheet(
        title, f"To leave one out, add a line to {exclude}: {label},NAME,REASON", entries
    )


if __name__ == "__main__":
    main()
