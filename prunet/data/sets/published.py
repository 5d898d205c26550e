"""Sets with a published test split: MNIST, its variants and CIFAR, read with torchvision."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.images.dataset import SPLITS
from prunet.data.sets.layouts import ARCHIVES, IDX, arranged
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
        folders: folders to search for the files, see `arranged`. A set that none of them holds is
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
    images = _channels_first(np.concatenate([np.asarray(part.data) for part in parts]))
    _count_shared(name, images, split)
    draw_split(split, labels, val, "val", seed, parts[0].classes)
    return {
        "images": images,
        "labels": labels,
        "split": split,
        "class_names": list(parts[0].classes),
    }


def _open(name: str, folders: list[Path]) -> list[Any]:
    """Return torchvision's training part and test part."""
    from torchvision import datasets

    class_name, subfolder = TORCHVISION[name]
    torchvision_class = getattr(datasets, class_name)
    source = folders[-1]
    try:
        with TemporaryDirectory() as scratch:
            for own in folders[:-1]:
                source = own
                if place := arranged(own, subfolder, Path(scratch)):
                    return [torchvision_class(place, train=train) for train in (True, False)]
            source = folders[-1]
            for own in folders[:-1]:
                click.echo(f"warning: {own} does not hold {name}; {_wanted(subfolder)}.", err=True)
            return [torchvision_class(source, train=train, download=True) for train in (True, False)]
    except Exception as error:  # torchvision's readers raise almost anything on damaged files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        again = ""
        if source == folders[-1]:
            again = "With a network, move what is there elsewhere and run again, which downloads it. "
        raise InputError(
            f"{name} cannot be read from {source / subfolder}{' or downloaded to it' if again else ''} "
            f"({reason}). {again}Set the environment variable PRUNET_DATA to a folder with an intact copy: "
            f"{_wanted(subfolder)}."
        ) from None


def _wanted(subfolder: str) -> str:
    files = (
        f"the archive {ARCHIVES[subfolder]}"
        if subfolder in ARCHIVES
        else f"{', '.join(IDX)}, or these as .gz"
    )
    return f"it may hold {subfolder}, or be that folder, or hold {files}"


def _count_shared(name: str, images: NDArray[np.uint8], split: NDArray[np.uint8]) -> None:
    """Print how many test images are training images too; a published split stays as it is."""
    keys = [image.tobytes() for image in images]
    test = split == SPLITS.index("test")
    train = {key for key, is_test in zip(keys, test, strict=True) if not is_test}
    shared = sum(key in train for key, is_test in zip(keys, test, strict=True) if is_test)
    click.echo(
        f"{name}: {len(images)} images; {shared} of {test.sum()} test images are in the training split too"
    )


def _channels_first(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Turn gray images (N, H, W) or colour images (N, H, W, 3) into (N, C, H, W)."""
    return images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
