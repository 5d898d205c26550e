"""Digit sets: scikit-learn's optdigits, and MNIST and its kin through torchvision."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.dataset import SPLITS
from prunet.base.errors import InputError

TORCHVISION = {
    "mnist": "MNIST",
    "fashion-mnist": "FashionMNIST",
    "kmnist": "KMNIST",
}  # and torchvision's class

Digits = dict[str, Any]  # the arguments of prunet.dataset.save, without its path


def optdigits(val: int, test: int, seed: int) -> Digits:
    """The 1,797 8x8 digits of scikit-learn (Alpaydin & Kaynak 1998), their 17 gray levels made 0 to 255.

    Args:
        val: images that choose.
        test: images that test.
        seed: of the stratified split.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None]
    labels = bunch.target.astype(np.int64)
    split = np.full(len(labels), SPLITS.index("train"), np.uint8)
    _choose(split, labels, test, SPLITS.index("test"), seed)
    _choose(split, labels, val, SPLITS.index("val"), seed)
    return _digits(images, labels, split, [str(digit) for digit in range(10)])


def from_torchvision(name: str, folders: list[Path], val: int, seed: int) -> Digits:
    """MNIST or its kin (28x28): the published test split, and `val` images of the training split to choose.

    Args:
        name: a key of `TORCHVISION`.
        folders: where to look for the files, as torchvision lays them out; what is in none of them is
            downloaded into the last one, checked against torchvision's checksums.
        val: images that choose.
        seed: of the stratified split.

    Raises:
        InputError: the files are in no folder and cannot be downloaded, or they are damaged.
    """
    parts = _open(name, folders)
    images = np.concatenate([part.data.numpy() for part in parts])[:, None]
    labels = np.concatenate([part.targets.numpy() for part in parts]).astype(np.int64)
    split = np.repeat([SPLITS.index("train"), SPLITS.index("test")], [len(part) for part in parts])
    split = split.astype(np.uint8)
    _choose(split, labels, val, SPLITS.index("val"), seed)
    return _digits(images, labels, split, list(parts[0].classes))


def _open(name: str, folders: list[Path]) -> list[Any]:
    from torchvision import datasets

    kind = getattr(datasets, TORCHVISION[name])
    for folder in folders:
        last = folder == folders[-1]
        if not last and not (folder / TORCHVISION[name]).is_dir():
            continue
        try:
            return [kind(folder, train=train, download=last) for train in (True, False)]
        except (RuntimeError, OSError, ValueError, AssertionError) as error:
            raw = folder / TORCHVISION[name] / "raw"
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise InputError(
                f"{name}: its files could not be read from {raw} or downloaded to it ({reason}). With a "
                f"network, delete {raw} and try again; without one, put the four files there, or name the "
                f"folder that holds {TORCHVISION[name]}/raw in the environment variable PRUNET_DATA."
            ) from None
    raise AssertionError("the last folder returns or raises")


def _choose(split: NDArray[np.uint8], labels: NDArray[np.int64], count: int, side: int, seed: int) -> None:
    """Move `count` images from the training split to `side`, drawn so that every class keeps its share."""
    from sklearn.model_selection import train_test_split

    candidates = np.flatnonzero(split == SPLITS.index("train"))
    if not 10 <= count <= len(candidates) - 10:
        raise InputError(
            f"digits.{SPLITS[side]} is {count}: with {len(candidates)} images to draw from it must be from "
            f"10 to {len(candidates) - 10}."
        )
    chosen, _ = train_test_split(
        candidates, train_size=count, stratify=labels[candidates], random_state=seed % 2**32
    )
    split[chosen] = side


def _digits(
    images: NDArray[np.uint8], labels: NDArray[np.int64], split: NDArray[np.uint8], class_names: list[str]
) -> Digits:
    return {"images": images, "labels": labels, "split": split, "class_names": class_names}
