"""Dataset file: images, labels, split and class names in one safetensors file.

Every later stage reads this format, whatever the images show. A set that does not fit in memory stores the
names of its image files instead of their pixels.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.data.images import image_files
from prunet.data.images.image_files import Files

SPLITS = ("train", "val", "test")
MAX_NAMES = 100  # classes that a message lists
# Dtype and number of dimensions of each tensor in the file.
IMAGES: dict[str, tuple[Any, int]] = {"images": (np.uint8, 4)}
STORED: dict[str, tuple[Any, int]] = {"labels": (np.int64, 1), "split": (np.uint8, 1)}


def save(
    path: Path,
    images: NDArray[np.uint8] | Files,
    labels: NDArray[np.int64],
    split: NDArray[np.uint8],
    class_names: list[str],
    files: list[str] | None = None,
) -> None:
    """Write a dataset file; equal data gives equal bytes.

    Args:
        path: the file to write or replace.
        images: (N, C, H, W) uint8, or the files that hold them.
        labels: (N,) int64, indices into `class_names`.
        split: (N,) uint8, indices into `SPLITS`.
        class_names: one name per class.
        files: the name of each image's file, where it has one of its own.

    Raises:
        InputError: there are fewer than two classes, or a split lacks a class.
    """
    if len(class_names) < 2:
        raise InputError(f"{path}: a classifier needs at least two classes, not {class_names}.")
    require_all_classes(labels, split, class_names, path)
    stored: tensors.Tensors
    metadata: dict[str, Any] = {"class_names": class_names}
    if isinstance(images, Files):
        stored, metadata["on_disk"] = image_files.pack(images)
    else:
        stored = {"images": images}
        metadata |= {} if files is None else {"files": files}
    tensors.write(path, stored | {"labels": labels, "split": split}, metadata)


def require_all_classes(
    labels: NDArray[np.int64], split: NDArray[np.uint8], class_names: Sequence[str], where: Path
) -> None:
    """Check that every class has an image in every split.

    Args:
        labels, split, class_names: as in `save`; images whose `split` is not an index into `SPLITS` do not
            count.
        where: file or folder that the message names.

    Raises:
        InputError: classes lack a split; the message has all of them.
    """
    counts = np.zeros((len(class_names), 256), np.int64)
    np.add.at(counts, (labels, split), 1)
    counts = counts[:, : len(SPLITS)]
    lacking = [
        f"{name} ({', '.join(map(str, row))})"
        for name, row in zip(class_names, counts.tolist(), strict=True)
        if 0 in row
    ]
    if lacking:
        more = f" and {len(lacking) - MAX_NAMES} more" if len(lacking) > MAX_NAMES else ""
        raise InputError(
            f"{where}: {len(lacking)} {'class has' if len(lacking) == 1 else 'classes have'} no image in one "
            f"of the splits {', '.join(SPLITS)}: {', '.join(lacking[:MAX_NAMES])}{more}. Add images, "
            "draw more by data.val and data.test, or leave the classes out by data.min_images."
        )


def load(path: Path) -> dict[str, Any]:
    """Read a dataset file: `images`, `labels`, `split`, `class_names` and `files`, as passed to `save`.

    Raises:
        InputError: the file is missing, truncated, or not a dataset file.
    """
    arrays, metadata = tensors.read(path)
    try:
        return _checked(arrays, metadata)
    except ValueError as error:
        raise InputError(
            f"{path} is not a dataset file ({error}); run the stage that writes it again."
        ) from None


def count(path: Path, side: str) -> int:
    """Return how many images of a dataset file are in one of `SPLITS`, without reading them.

    Raises:
        InputError: the file is missing or damaged, or has no such image.
    """
    found = int(np.sum(tensors.read(path, ["split"])[0]["split"] == SPLITS.index(side)))
    if not found:
        raise InputError(f"{path} has no {side} image; run the stage that writes it again.")
    return found


def contents(data: dict[str, Any]) -> tensors.Tensors:
    """Return the tensors that identify a data set: its images (or their digests), labels and split."""
    images = data["images"]
    own = {"digests": images.digests} if isinstance(images, Files) else {"images": images}
    return own | {part: data[part] for part in STORED}


def _checked(arrays: tensors.Tensors, metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the contents of a file.

    Raises:
        ValueError: a part is missing or invalid.
    """
    on_disk = "on_disk" in metadata
    for part, (dtype, dimensions) in ((image_files.STORED if on_disk else IMAGES) | STORED).items():
        if part not in arrays:
            raise ValueError(f"it has no {part}")
        if arrays[part].dtype != dtype or arrays[part].ndim != dimensions:
            found = f"{arrays[part].dtype} of shape {arrays[part].shape}"
            raise ValueError(f"{part} are {found}, not {np.dtype(dtype)} with {dimensions} dimensions")
    images = image_files.unpack(arrays, metadata["on_disk"]) if on_disk else arrays["images"]
    labels, split, names = arrays["labels"], arrays["split"], metadata.get("class_names")
    empty = len(images) == 0 or (not isinstance(images, Files) and images.size == 0)
    if empty or not len(images) == len(labels) == len(split):
        raise ValueError(f"{len(images)} images, {len(labels)} labels and {len(split)} entries in the split")
    if not isinstance(names, list) or len(names) < 2 or not all(isinstance(name, str) for name in names):
        raise ValueError("it has no list of class names")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(f"labels from {labels.min()} to {labels.max()} for {len(names)} classes")
    if set(np.unique(split)) != set(range(len(SPLITS))):
        raise ValueError(f"the split has the values {np.unique(split).tolist()}, not all of 0, 1 and 2")
    files = images.names if isinstance(images, Files) else metadata.get("files")
    if files is not None and not (isinstance(files, list) and len(files) == len(labels)):
        raise ValueError(f"it has {len(labels)} images, and not as many names of files")
    return {"images": images, "labels": labels, "split": split, "class_names": names, "files": files}
