"""The digits that come with scikit-learn."""

from typing import Any

import numpy as np

from prunet.data.dataset import SPLITS
from prunet.data.sets.splitting import choose


def optdigits(val: int, test: int, seed: int) -> dict[str, Any]:
    """The 1,797 8x8 digits of scikit-learn (Alpaydin & Kaynak 1998), their 17 gray levels made 0 to 255.

    Args:
        val: images that choose.
        test: images that test.
        seed: of the stratified split.

    Returns:
        The arguments of `prunet.data.dataset.save`, without its path.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    labels = bunch.target.astype(np.int64)
    split = np.full(len(labels), SPLITS.index("train"), np.uint8)
    choose(split, labels, test, "test", seed)
    choose(split, labels, val, "val", seed)
    return {
        "images": np.round(bunch.images * (255 / 16)).astype(np.uint8)[:, None],
        "labels": labels,
        "split": split,
        "class_names": [str(digit) for digit in range(10)],
    }
