"""Test images that networks get wrong: the confusion matrix, and a list of the images."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Answers = NDArray[np.int64]  # (networks, N) class that each network gives each test image


def confusion(answers: Answers, labels: NDArray[np.int64], names: Sequence[str]) -> pd.DataFrame:
    """Return how often images of a class got the name of a class, over all networks.

    Args:
        answers: of the networks.
        labels: (N,) correct classes; every class has an image.
        names: of the classes.

    Returns:
        A row for each pair that occurs, in the order of the classes: `true`, `named`, `count`, and its
        `share` of all answers to images of the class `true`.
    """
    counts = np.zeros((len(names), len(names)), np.int64)
    np.add.at(counts, (np.broadcast_to(labels, answers.shape), answers), 1)
    shares = counts / counts.sum(1, keepdims=True)
    rows = [
        {
            "true": names[true],
            "named": names[named],
            "count": counts[true, named],
            "share": shares[true, named],
        }
        for true, named in np.argwhere(counts).tolist()
    ]
    return pd.DataFrame(rows)


def wrong(answers: Answers, labels: NDArray[np.int64], names: Sequence[str]) -> pd.DataFrame:
    """Return the images that got a wrong name, a row for each such name; the most frequent come first.

    Args:
        answers, labels, names: as of `confusion`.

    Returns:
        `image` (0 to N - 1), `true`, `named`, the number of `networks` that named it so, `of` how many.
    """
    rows: list[dict[str, Any]] = []
    for image in np.flatnonzero((answers != labels).any(0)).tolist():
        for named, networks in zip(*np.unique(answers[:, image], return_counts=True), strict=True):
            if named != labels[image]:
                row = {"image": image, "true": names[labels[image]], "named": names[named]}
                rows.append(row | {"networks": int(networks), "of": len(answers)})
    types = {"image": int, "true": str, "named": str, "networks": int, "of": int}  # also of no rows
    table = pd.DataFrame(rows, columns=list(types)).astype(types)
    return table.sort_values("networks", ascending=False, kind="stable", ignore_index=True)
