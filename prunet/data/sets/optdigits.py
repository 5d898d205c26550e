"""Handwritten digits that come with scikit-learn."""

from typing import Any

import numpy as np

from prunet.data.images.dataset import SPLITS
from prunet.data.sets.splitting import draw_split


def optdigits(val: int, test: int, seed: int) -> dict[str, Any]:
    """Load the 1,797 8x8 digits of scikit-learn (Alpaydin & Kaynak 1998) and split them.

    Their 17 gray levels are scaled to 0 to 255.

    Args:
        val: number of validation images.
        test: number of test images.
        seed: seed of the stratified split.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: a split would lack a class.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    split = np.full(len(labels), SPLITS.index("train"), np.uint8)
    class_names = [str(digit) for digit in range(10)]
    draw_split(split, labels, test, "test", seed, class_names)
    draw_split(split, labels, val, "val", seed, class_names)
    return {
        "images": np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None],
        "labels": labels,
        "split": split,
        "class_names": class_names,
    }
