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
STORED: dict[str, tuple[Any, int]] = {
    "images": (np.uint8, 4),
    "labels": (np.int64, 1),
    "split": (np.uint8, 1),
}


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
        InputError: the file is missing, cut short, or does not hold what `save` writes.
    """
    arrays, about = tensors.read(path)
    problem = _problem(arrays, about.get("class_names"))
    if problem:
        raise InputError(f"{path} is not a dataset file ({problem}): run the stage that writes it again.")
    return arrays | about


def _problem(arrays: tensors.Tensors, names: Any) -> str | None:
    """Say what is wrong with the contents of a file; None if nothing is."""
    for part, (dtype, dimensions) in STORED.items():
        if part not in arrays:
            return f"no {part}"
        if arrays[part].dtype != dtype or arrays[part].ndim != dimensions:
            found = f"{arrays[part].dtype} of shape {arrays[part].shape}"
            return f"{part} are {found}, not {np.dtype(dtype)} with {dimensions} dimensions"
    images, labels, split = (arrays[part] for part in STORED)
    if images.size == 0 or not len(images) == len(labels) == len(split):
        return f"{len(images)} images, {len(labels)} labels and {len(split)} sides of the split"
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        return "no list of class names"
    if labels.min() < 0 or labels.max() >= len(names):
        return f"labels from {labels.min()} to {labels.max()} for {len(names)} classes"
    if set(np.unique(split)) != set(range(len(SPLITS))):
        return f"a split of {np.unique(split).tolist()} instead of all of {', '.join(SPLITS)}"
    return None
