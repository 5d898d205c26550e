"""Faces of a list of people as a data set."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.hashing import perceptual_hash
from prunet.data.images.dataset import SPLITS
from prunet.data.images.decoding import load_rgb
from prunet.data.listing import quality
from prunet.data.listing.manifests import GRAY_COLUMNS, accepted, read_manifest
from prunet.data.sets.splitting import LEFT_OUT, block_of, keep_together, side_of


class Faces(NamedTuple):
    """Gray faces of a list, in its order, with the split of each."""

    rows: list[dict[str, str]]  # of the manifest; `image` is the name of the gray image below the folder
    images: NDArray[np.uint8]  # (N, S, S)
    split: NDArray[np.uint8]  # (N,) indices into SPLITS
    summary: str
    findings: list[str]  # for quality.report


def split_faces(folder: Path, val: float, test: float, distance: int, min_images: int, seed: int) -> Faces:
    """Load the gray faces of a folder that the stage resize wrote, and split them.

    Args:
        folder: the folder, with its manifest.
        val: share of each person's images for validation, between 0 and 1.
        test: share of each person's images for testing, between 0 and 1.
        distance: near-duplicates are photos or faces whose perceptual hashes differ in at most so many of 64
            bits; they share a split.
        min_images: people with fewer faces are left out.
        seed: seed of the split.

    Raises:
        InputError: the folder has no image, or its manifest or an image is damaged.
    """
    block = block_of(val, test)
    rows = accepted(read_manifest(folder, GRAY_COLUMNS), folder, "image", "face")
    rare = quality.rare(Counter(row["label"] for row in rows), min_images, folder)
    rows = [row for row in rows if row["label"] not in rare]
    names = [row["image"] for row in rows]
    images = read_gray(folder, names)
    own = [side_of(row["label"], int(row["place"]), block, seed) for row in rows]
    # The photo's hash survives re-encoding and resizing, which shift the crop; the face's, another framing.
    hashes = [
        (int(row["photo_hash"], 16), perceptual_hash(image)) for row, image in zip(rows, images, strict=True)
    ]
    pairs = np.array(hashes, np.uint64)
    split, moved = keep_together(pairs, np.array(own, np.uint8), distance)
    alike = quality.look_alike(pairs, [row["label"] for row in rows], names, distance)

    kept = split != LEFT_OUT
    counts = ", ".join(f"{np.sum(split == side)} {name}" for side, name in enumerate(SPLITS))
    summary = (
        f"{folder}: {kept.sum()} images, {len({row['label'] for row in rows})} classes, {counts}; "
        f"near-duplicates: {moved.sum()} moved, {(~kept).sum()} left out"
    )
    kept_rows = [row for row, keep in zip(rows, kept, strict=True) if keep]
    return Faces(kept_rows, images[kept], split[kept], summary, [quality.few_images(rare, min_images), alike])


def people(
    folder: Path, val: float, test: float, distance: int, min_images: int, doubtful: str, seed: int
) -> dict[str, Any]:
    """Return the data set of `split_faces`, and print its counts.

    Args:
        folder, val, test, distance, min_images, seed: as in `split_faces`.
        doubtful: `warn` about people who are left out and about near-duplicates of two people, or `refuse`
            them.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: as in `split_faces`, or, if `doubtful` is `refuse`, there is something to report.
    """
    faces = split_faces(folder, val, test, distance, min_images, seed)
    quality.report(faces.findings, doubtful)
    click.echo(faces.summary)
    labels = [row["label"] for row in faces.rows]
    class_names = sorted(set(labels))
    return {
        "images": faces.images[:, None],
        "labels": np.array([class_names.index(label) for label in labels], np.int64),
        "split": faces.split,
        "class_names": class_names,
        "files": [row["image"] for row in faces.rows],
    }


def read_gray(folder: Path, names: Sequence[str]) -> NDArray[np.uint8]:
    """Read the gray images (S, S) of a folder into one array (N, S, S).

    Raises:
        InputError: an image is missing, broken, coloured, or not the size of the first.
    """
    images: list[NDArray[np.uint8]] = []
    for name in names:
        image = load_rgb(folder / name)
        height, width = image.shape[:2]
        size = images[0].shape[0] if images else height
        if (height, width) != (size, size) or (image != image[..., :1]).any():
            raise InputError(
                f"{folder / name} is not a gray image of {size} x {size} pixels; rerun the stage resize."
            )
        images.append(image[..., 0])
    return np.stack(images)
