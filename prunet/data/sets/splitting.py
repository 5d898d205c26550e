"""Which images choose and which test: drawn so that every class keeps its share."""

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.dataset import SPLITS


def choose(split: NDArray[np.uint8], labels: NDArray[np.int64], count: int, side: str, seed: int) -> None:
    """Move `count` images from the training split to another one; every class keeps its share.

    Args:
        split: (N,) indices into `SPLITS`, changed in place.
        labels: (N,) of the same images.
        count: how many images to move.
        side: the split that they go to.
        seed: of the draw.

    Raises:
        InputError: so many images would leave a class without one on either side.
    """
    from sklearn.model_selection import train_test_split

    candidates = np.flatnonzero(split == SPLITS.index("train"))
    sizes = np.bincount(labels[candidates])
    classes = np.count_nonzero(sizes)
    if not classes <= count <= len(candidates) - classes or 1 in sizes:
        raise InputError(
            f"images.{side} is {count}: with {len(candidates)} images of {classes} classes to draw from it "
            f"must be from {classes} to {len(candidates) - classes}, and every class needs two images."
        )
    chosen, _ = train_test_split(
        candidates, train_size=count, stratify=labels[candidates], random_state=seed % 2**32
    )
    split[chosen] = SPLITS.index(side)
