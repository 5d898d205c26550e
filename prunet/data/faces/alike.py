"""Comparison of a label's faces: the choice of the face that is most alike, and the doubt about each face."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces import likeness
from prunet.data.faces.cropping import Result, write_crop
from prunet.data.images.decoding import load_rgb


def keep_most_alike(results: Sequence[Result], photos: Path, output: Path, margin: float) -> list[Result]:
    """Keep, on each photo with several usable faces, the one most like its label's faces on other photos.

    These are the faces of photos with one usable face. Of a label without such a photo, photos with several
    faces stay without one.

    Args:
        results: embedded, of `crop_all`.
        photos, output, margin: as in `crop_one`.
    """
    alone = [result for result in results if result.row["status"] == "ok"]
    labels = [result.row["label"] for result in alone]
    centres = likeness.centres(np.concatenate([r.embeddings for r in alone]), labels) if alone else {}
    return [
        result
        if len(result.faces) < 2
        else _kept(result, centres.get(result.row["label"]), photos, output, margin)
        for result in results
    ]


def _kept(
    result: Result, centre: NDArray[np.float64] | None, photos: Path, output: Path, margin: float
) -> Result:
    row, faces, vectors = result
    if centre is None:
        detail = f"{row['detail']} No photo of {row['label']} has one usable face alone to compare them with."
        return Result(row | {"detail": detail}, [], vectors[:0])
    best = likeness.most_alike(vectors, centre)
    detail = (
        f"Of {len(faces)} usable faces the one most like those on other photos of {row['label']} was kept."
    )
    kept = row | {"status": "ok", "detail": detail}
    kept |= write_crop(row, load_rgb(photos / row["photo"]), faces[best], output, margin)
    return Result(kept, [faces[best]], vectors[best : best + 1])


def with_doubts(results: Sequence[Result]) -> list[dict[str, Any]]:
    """Return the manifest rows of embedded results, with each face's `doubt`."""
    kept = [number for number, result in enumerate(results) if result.faces]
    labels = [results[number].row["label"] for number in kept]
    rows = [result.row for result in results]
    found = likeness.doubts(np.concatenate([results[number].embeddings for number in kept]), labels)
    for number, doubt in zip(kept, found, strict=True):
        if not np.isnan(doubt):
            rows[number] = rows[number] | {"doubt": f"{doubt:.4f}"}
    return rows
