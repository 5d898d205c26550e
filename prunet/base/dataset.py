"""The dataset file: images, labels, split and class names in one safetensors file.

Every stage after it is the same for digits, faces and what comes.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base import tensors
from prunet.base.errors import InputError

SPLITS = ("train", "val", "test")


def save(
    path: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    split: NDArray[np.uint8],
    class_names: list[str],
) -> None:
    """Write a dataset file.

    Args:
        path: the file, replaced whole.
        images: (N, C, H, W) uint8.
        labels: (N,) int64, indices into `class_names`.
        split: (N,) uint8, indices into `SPLITS`.
        class_names: one name for each class.

    Raises:
        InputError: there are fewer than two classes, or a class has no image in one of the splits.
    """
    if len(class_names) < 2:
        raise InputError(f"{path}: a classifier needs at least two classes, here: {class_names}.")
    for number, name in enumerate(class_names):
        for side, side_name in enumerate(SPLITS):
            if not np.any((labels == number) & (split == side)):
                raise InputError(
                    f"{path}: class {name!r} has {np.sum(labels == number)} images and none of them falls "
                    f"into the {side_name} split: add images of it, leave it out, or try another seed."
                )
    tensors.write(path, {"images": images, "labels": labels, "split": split}, {"class_names": class_names})


def load(path: Path) -> dict[str, Any]:
    """Read a dataset file: `images`, `labels`, `split` as in `save`, and `class_names`.

    Raises:
        InputError: the file is missing, cut short, or not a dataset file.
    """
    arrays, about = tensors.read(path)
    data = arrays | about
    sizes = {len(data[name]) for name in ("images", "labels", "split") if name in data}
    if not {"images", "labels", "split", "class_names"} <= set(data) or len(sizes) != 1:
        raise InputError(f"{path} is not a dataset file: run the stage that writes it again.")
    return data
