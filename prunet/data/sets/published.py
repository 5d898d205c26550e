"""Sets with a published test split: MNIST and its kin, CIFAR-10 and CIFAR-100, through torchvision."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.dataset import SPLITS
from prunet.data.sets.splitting import choose

# Of each set torchvision's class, and the folder that its files are in.
TORCHVISION = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "kmnist": ("KMNIST", "KMNIST/raw"),
    "cifar-10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar-100": ("CIFAR100", "cifar-100-python"),
}


def published(name: str, folders: list[Path], val: int, seed: int) -> dict[str, Any]:
    """Read a set: its published test split, and `val` images of its training split to choose.

    MNIST and its kin are 28x28 gray, (N, 1, 28, 28); CIFAR (Krizhevsky 2009) is 32x32 in colour,
    (N, 3, 32, 32), and the classes of CIFAR-100 are the 100 fine ones.

    Args:
        name: a key of `TORCHVISION`.
        folders: where to look for the files, as torchvision lays them out; what is in none of them is
            downloaded into the last one, checked against torchvision's checksums.
        val: images that choose.
        seed: of the stratified split.

    Returns:
        The arguments of `prunet.data.dataset.save`, without its path.

    Raises:
        InputError: the files are in no folder and cannot be downloaded, or they are damaged.
    """
    parts = _open(name, folders)
    labels = np.concatenate([np.asarray(part.targets, np.int64) for part in parts])
    split = np.repeat([SPLITS.index("train"), SPLITS.index("test")], [len(part) for part in parts])
    split = split.astype(np.uint8)
    choose(split, labels, val, "val", seed)
    return {
        "images": _channels_first(np.concatenate([np.asarray(part.data) for part in parts])),
        "labels": labels,
        "split": split,
        "class_names": list(parts[0].classes),
    }


def _open(name: str, folders: list[Path]) -> list[Any]:
    """Return torchvision's training and test part."""
    from torchvision import datasets

    class_name, place = TORCHVISION[name]
    kind = getattr(datasets, class_name)
    for folder in folders:
        last = folder == folders[-1]
        if not last and not (folder / place).is_dir():
            continue
        try:
            return [kind(folder, train=train, download=last) for train in (True, False)]
        except Exception as error:  # torchvision's readers raise almost anything over damaged files
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"{name}: its files could not be read from {folder / place} or downloaded to it ({reason}). "
                f"With a network, delete {folder / place} and try again; without one, put the files there, "
                f"or name the folder that holds {place} in the environment variable PRUNET_DATA."
            ) from None
    raise AssertionError("the last folder returns or raises")


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Make gray images (N, H, W) or colour images (N, H, W, 3) what a dataset file holds, (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
