"""Measured traits of faces that make some of them doubtful."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prunet.base.files import reading
from prunet.data.faces.gray import scaled, to_gray
from prunet.data.images.decoding import load_rgb
from prunet.data.images.formats import known

SIDE = 96  # pixels a side of the gray face that is measured
THUMBNAIL = 16  # pixels a side of the gray face that is compared with others
NEAREST = 2  # faces that speak for a person: a single one may be wrong itself
AT_ONCE = 1000  # faces that are compared with all others at a time

Values = NDArray[np.float64]  # (N,)


class Likeness(NamedTuple):
    """Similarity of N faces to people.

    Attributes:
        margin: cosine to the nearest other person minus that to the own one, -2 to 2; NaN if one is unknown.
        similar: number of the most similar face of that other person; -1 if there is none.
    """

    margin: Values
    similar: NDArray[np.int64]


def of_pictures(
    rows: Sequence[Mapping[str, str]], crops: Path, photos: Path
) -> tuple[dict[str, Values], NDArray[np.float32]]:
    """Measure the crops of faces.

    Args:
        rows: of the crops' manifest.
        crops, photos: folders.

    Returns:
        Of each face the sharpness (variance of the Laplacian of gray levels), the brightness (mean gray
        level, 0 to 255) and the area (of its box, as a share of the photo); and the thumbnails
        (N, THUMBNAIL^2), with mean 0 and length 1.

    Raises:
        InputError: a crop or a photo is missing or damaged.
    """
    found = {name: np.zeros(len(rows)) for name in ("sharpness", "brightness", "area")}
    thumbnails = np.zeros((len(rows), THUMBNAIL**2), np.float32)
    for number, row in enumerate(rows):
        gray = to_gray(load_rgb(crops / row["image"]), SIDE)
        found["sharpness"][number] = cv2.Laplacian(gray, cv2.CV_64F).var()
        found["brightness"][number] = gray.mean()
        box = float(row["width"]) * float(row["height"])
        found["area"][number] = box / _pixels(photos / row["photo"])
        small = scaled(gray, THUMBNAIL).reshape(-1).astype(np.float32)
        small -= small.mean()
        thumbnails[number] = small / (np.linalg.norm(small) or 1)
    return found, thumbnails


def _pixels(photo: Path) -> int:
    """Return width x height of a photo, from its header if that can be read."""
    with reading(photo):
        data = photo.read_bytes()
    form = known.find(data)
    if form is not None:
        with suppress(Exception), form.open(data) as image:  # damaged headers raise almost anything
            return int(image.width * image.height)
    return load_rgb(photo).size // 3  # or an error that names the damage


def likeness(vectors: NDArray[np.float32], people: Sequence[str], kept: Sequence[bool]) -> Likeness:
    """Compare each face with all people, by the mean cosine to the `NEAREST` most similar faces of each.

    Args:
        vectors: (N, D), unit length: embeddings or thumbnails.
        people: whose face each one is.
        kept: whether a face may speak for its person.
    """
    count, names = len(people), np.array(people)
    members = [np.flatnonzero((names == name) & np.array(kept)) for name in sorted(set(people))]
    own = np.searchsorted(sorted(set(people)), names)
    margin, similar = np.full(count, np.nan), np.full(count, -1)
    for start in range(0, count, AT_ONCE):
        part = np.arange(start, min(start + AT_ONCE, count))
        cosines = vectors[part] @ vectors.T
        cosines[np.arange(len(part)), part] = np.nan  # a face says nothing about itself
        scores = np.stack([_mean_of_highest(cosines[:, faces]) for faces in members], axis=1)
        owns = scores[np.arange(len(part)), own[part]].copy()
        scores[np.arange(len(part)), own[part]] = -np.inf
        best = np.nan_to_num(scores, nan=-np.inf).argmax(axis=1)
        highest = scores[np.arange(len(part)), best]
        for i in np.flatnonzero(np.isfinite(highest)).tolist():
            margin[part[i]] = highest[i] - owns[i]
            similar[part[i]] = members[best[i]][np.argmax(cosines[i, members[best[i]]])]
    return Likeness(margin, similar)


def _mean_of_highest(cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the mean of the `NEAREST` highest values in each row, of fewer if there are fewer, or NaN."""
    ordered = -np.sort(-cosines, axis=1)[:, :NEAREST]  # NaN last
    counts = np.isfinite(ordered).sum(axis=1)
    sums = np.nan_to_num(ordered).sum(axis=1)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
