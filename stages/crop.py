"""Stage crop: cut the face out of each photo."""

from collections import Counter
from pathlib import Path, PurePosixPath
from typing import Any

import click
from PIL import Image
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.base.files import read_rows, replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.faces import detection
from prunet.faces.images import load_rgb

COLUMNS = (
    *("row", "place", "label", "image", "status", "detail", "photo", "photo_hash", "faces"),
    *("confidence", "x", "y", "width", "height"),
    *(f"{name}_{axis}" for name in detection.LANDMARKS for axis in "xy"),
)


@click.command(context_settings=UNDERSCORES)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), required=True, help="Least confidence of a face, 0 to 1."
)
@click.option(
    "--min-size",
    type=click.IntRange(1),
    required=True,
    help="Least length of the shorter side of a face's box, in pixels of the photo.",
)
@click.option(
    "--keep",
    type=click.Choice(list(detection.KEEP)),
    required=True,
    help="Which face of a photo with several: the largest, the surest, or none (only: it must be alone).",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 5),
    required=True,
    help="Room on each side of the face, as a share of the longer side of its box.",
)
@click.option(
    "--max-side",
    type=click.IntRange(12),
    required=True,
    help="Photos with a longer side of more pixels are shrunk to it for the search (the crop is not).",
)
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(
    min_confidence: float,
    min_size: int,
    keep: str,
    margin: float,
    max_side: int,
    photos: Path,
    output: Path,
    metrics: Path,
) -> None:
    """Find the face in each photo of the folder PHOTOS and write it as a square colour PNG to OUTPUT.

    OUTPUT/manifest.csv says what became of each photo, with box and landmarks in pixels of the photo;
    METRICS (JSON) counts the photos by that.
    """
    rows = [row for row in with_places(photos / "manifest.csv") if row["status"] == "ok"]
    if not rows:
        raise InputError(f"{photos} has no photo: see {photos / 'manifest.csv'} for the reason of each.")
    find = detection.detector()
    results = []
    with replacing(output) as partial:
        for row in tqdm(rows, desc="crop", unit="photo", disable=None):
            photo = load_rgb(photos / row["image"])
            faces = detection.detect(photo, find, max_side)
            face, status, detail = detection.choose(
                faces, min_confidence=min_confidence, min_size=min_size, keep=keep
            )
            result = {key: row[key] for key in ("row", "place", "label")}
            result |= {"status": status, "detail": detail, "photo": row["image"], "faces": len(faces)}
            result["photo_hash"] = f"{detection.perceptual_hash(photo):016x}"
            if face is not None:
                result |= {"image": str(PurePosixPath(row["image"]).with_suffix(".png"))} | numbers(face)
                (partial / row["label"]).mkdir(parents=True, exist_ok=True)
                crop = detection.cut(photo, *detection.square(face.box, margin))
                Image.fromarray(crop).save(partial / result["image"], compress_level=1)
            results.append(result)
        report_empty_labels(results)
        write_rows(partial / "manifest.csv", COLUMNS, results)
    counts = Counter(result["status"] for result in results)
    write_json(metrics, {status: counts[status] for status in detection.STATUSES})


def with_places(manifest: Path) -> list[dict[str, Any]]:
    """Read the rows of a list, failed ones too, and number those of each label from 0: their `place`.

    The split goes by place, and so a photo that fails does not move the others.
    """
    rows: list[dict[str, Any]] = sorted(
        read_rows(manifest, ("row", "label", "status", "image")), key=lambda row: int(row["row"])
    )
    seen: Counter[str] = Counter()
    for row in rows:
        row["place"] = seen[row["label"]]
        seen[row["label"]] += 1
    return rows


def numbers(face: detection.Face) -> dict[str, Any]:
    """Return the columns that describe a face: pixels to a tenth, and its confidence."""
    values = dict(zip(("x", "y", "width", "height"), face.box, strict=True))
    for name, (x, y) in zip(detection.LANDMARKS, face.landmarks, strict=True):
        values |= {f"{name}_x": x, f"{name}_y": y}
    return {key: round(value, 1) for key, value in values.items()} | {"confidence": round(face.confidence, 4)}


def report_empty_labels(results: list[dict[str, Any]]) -> None:
    """Warn of each label without a face.

    Raises:
        InputError: no label has one.
    """
    photos = Counter(result["label"] for result in results)
    faces = Counter(result["label"] for result in results if result["status"] == "ok")
    if not faces:
        raise InputError(
            f"None of the {len(results)} photos has a usable face: lower --min-confidence or --min-size, "
            "or list photos that show one person from the front."
        )
    for label, count in photos.items():
        if label not in faces:
            click.echo(f"label {label}: none of its {count} photos has a usable face", err=True)


if __name__ == "__main__":
    main()
