"""Sets with a published test split: MNIST, its variants and CIFAR, read with torchvision."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.images.dataset import SPLITS
from prunet.data.sets.splitting import draw_split

# torchvision's class for each set, and the folder that holds its files.
TORCHVISION = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion-mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "kmnist": ("KMNIST", "KMNIST/raw"),
    "cifar-10": ("CIFAR10", "cifar-10-batches-py"),
    "cifar-100": ("CIFAR100", "cifar-100-python"),
}


def published(name: str, folders: list[Path], val: int, seed: int) -> dict[str, Any]:
    """Load a set with its published test split; validation images are drawn from its training split.

    MNIST and its variants are 28x28 gray, (N, 1, 28, 28). CIFAR (Krizhevsky 2009) is 32x32 colour,
    (N, 3, 32, 32); the classes of CIFAR-100 are its 100 fine ones.

    Args:
        name: a key of `TORCHVISION`.
        folders: folders to search for the files, in torchvision's layout. A set that none of them holds is
            downloaded to the last one and checked against torchvision's checksums.
        val: number of validation images.
        seed: seed of the stratified draw.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: the files are damaged, or they are missing and cannot be downloaded.
    """
    parts = _open(name, folders)
    labels = np.concatenate([np.asarray(part.targets, np.int64) for part in parts])
    sides = np.array([SPLITS.index("train"), SPLITS.index("test")], np.uint8)
    split = np.repeat(sides, [len(part) for part in parts])
    draw_split(split, labels, val, "val", seed, parts[0].classes)
    return {
        "images": _channels_first(np.concatenate([np.asarray(part.data) for part in parts])),
        "labels": labels,
        "split": split,
        "class_names": list(parts[0].classes),
    }


def _open(name: str, folders: list[Path]) -> list[Any]:
    """Return torchvision's training part and test part."""
    from torchvision import datasets

    class_name, subfolder = TORCHVISION[name]
    torchvision_class = getattr(datasets, class_name)
    folder = next((folder for folder in folders[:-1] if (folder / subfolder).is_dir()), folders[-1])
    download = folder == folders[-1]
    try:
        return [torchvision_class(folder, train=train, download=download) for train in (True, False)]
    except Exception as error:  # torchvision's readers raise almost anything on damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{name} cannot be read from {folder / subfolder} or downloaded to it ({reason}). With a "
            f"network, delete {folder / subfolder} and try again; without one, put the files there, or set "
            f"the environment variable PRUNET_DATA to a folder that holds {subfolder}."
        ) from None


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn gray images (N, H, W) or colour images (N, H, W, 3) into (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
