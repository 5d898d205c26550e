"""The dataset file: images, labels, split and class names in one safetensors file.

Every stage after it is the same for digits, faces and what comes. A set that does not fit in memory has the
names of its image files there, and not their pixels.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.data import image_files
from prunet.data.image_files import Files

SPLITS = ("train", "val", "test")
IMAGES: dict[str, tuple[Any, int]] = {"images": (np.uint8, 4)}
STORED: dict[str, tuple[Any, int]] = {"labels": (np.int64, 1), "split": (np.uint8, 1)}


def save(
    path: Path,
    images: NDArray[np.uint8] | Files,
    labels: NDArray[np.int64],
    split: NDArray[np.uint8],
    class_names: list[str],
) -> None:
    """Write a dataset file.

    Args:
        path: the file, replaced whole.
        images: (N, C, H, W) uint8, or which files they are.
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
    stored: tensors.Tensors
    about: dict[str, Any] = {"class_names": class_names}
    if isinstance(images, Files):
        stored, about["on_disk"] = image_files.pack(images)
    else:
        stored = {"images": images}
    tensors.write(path, stored | {"labels": labels, "split": split}, about)


def load(path: Path) -> dict[str, Any]:
    """Read a dataset file: `images`, `labels`, `split` and `class_names` as in `save`.

    Raises:
        InputError: the file is missing, cut short, or does not hold what `save` writes.
    """
    arrays, about = tensors.read(path)
    try:
        return _checked(arrays, about)
    except ValueError as problem:
        raise InputError(
            f"{path} is not a dataset file ({problem}): run the stage that writes it again."
        ) from None


def contents(data: dict[str, Any]) -> tensors.Tensors:
    """Return what tells one data set from another: its images, or their digests, its labels and split."""
    images = data["images"]
    own = {"digests": images.digests} if isinstance(images, Files) else {"images": images}
    return own | {part: data[part] for part in STORED}


def _checked(arrays: tensors.Tensors, about: dict[str, Any]) -> dict[str, Any]:
    """Return what a file holds, or raise ValueError for what is wrong with it."""
    on_disk = "on_disk" in about
    for part, (dtype, dimensions) in ((image_files.STORED if on_disk else IMAGES) | STORED).items():
        if part not in arrays:
            raise ValueError(f"no {part}")
        if arrays[part].dtype != dtype or arrays[part].ndim != dimensions:
            found = f"{arrays[part].dtype} of shape {arrays[part].shape}"
            raise ValueError(f"{part} are {found}, not {np.dtype(dtype)} with {dimensions} dimensions")
    images = image_files.unpack(arrays, about["on_disk"]) if on_disk else arrays["images"]
    labels, split, names = arrays["labels"], arrays["split"], about.get("class_names")
    if (not isinstance(images, Files) and images.size == 0) or not 0 < len(images) == len(labels) == len(
        split
    ):
        raise ValueError(f"{len(images)} images, {len(labels)} labels and {len(split)} sides of the split")
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise ValueError("no list of class names")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {len(names)} classes")
    if set(np.unique(split)) != set(range(len(SPLITS))):
        raise ValueError(f"a split of {np.unique(split).tolist()} instead of all of {', '.join(SPLITS)}")
    return {"images": images, "labels": labels, "split": split, "class_names": names}
