"""Faces of a list of people as a data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def people(
    folder: Path, val: float, test: float, distance: int, min_faces: int, doubtful: str, seed: int
) -> dict[str, Any]:
    """Load the gray faces of a folder that the stage resize wrote, split them, and print their counts.

    Args:
        folder: the folder, with its manifest.
        val: share of each person's images for validation, between 0 and 1.
        test: share of each person's images for testing, between 0 and 1.
        distance: near-duplicates are photos or faces whose perceptual hashes differ in at most so many of 64
            bits; they share a split.
        min_faces: a person with fewer faces is reported.
        doubtful: `warn` about such people and about near-duplicates of two people, or `refuse` them.
        seed: seed of the split.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: the folder has no image, its manifest or an image is damaged, or, if `doubtful` is
            `refuse`, there is something to report.
    """
    block = block_of(val, test)
    rows = accepted(read_manifest(folder, GRAY_COLUMNS), folder, "image", "face")
    labels, names = [row["label"] for row in rows], [row["image"] for row in rows]
    images = read_gray(folder, names)
    own = [side_of(row["label"], int(row["place"]), block, seed) for row in rows]
    # The photo's hash survives re-encoding and resizing, which shift the crop; the face's, another framing.
    hashes = [
        (int(row["photo_hash"], 16), perceptual_hash(image)) for row, image in zip(rows, images, strict=True)
    ]
    pairs = np.array(hashes, np.uint64)
    split, moved = keep_together(pairs, np.array(own, np.uint8), distance)
    alike = quality.look_alike(pairs, labels, names, distance)
    quality.report([quality.too_few(labels, min_faces), alike], doubtful)

    kept = split != LEFT_OUT
    class_names = sorted(set(labels))
    counts = [f"{np.sum(split == side)} {name}" for side, name in enumerate(SPLITS)]
    click.echo(
        f"{folder}: {kept.sum()} images, {len(class_names)} classes, {', '.join(counts)}; "
        f"near-duplicates: {moved.sum()} moved, {(~kept).sum()} left out"
    )
    return {
        "images": images[kept, None],
        "labels": np.array([class_names.index(label) for label in labels], np.int64)[kept],
        "split": split[kept],
        "class_names": class_names,
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
