"""Shares of images that get a name at a threshold: of the known classes, and of strangers.

A stranger is an image of none of the classes. A closed-set classifier divides its certainty among the classes
that it has, so that many strangers get a name.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.shares import wilson

THRESHOLDS = (0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999)  # measured beside the chosen one

Probabilities = NDArray[np.floating]  # (N, classes), rows summing to 1
Labels = NDArray[np.int64]  # (N,)


def left_out(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Return the confidence (N,) of each image's answer without its own class, as if that were a stranger.

    The other classes' probabilities are scaled to sum to 1. The network has learned to tell this class from
    the others, and nothing of a stranger, so fewer of these images get a name than of strangers.
    """
    others = probabilities.astype(np.float64)
    others[np.arange(len(labels)), labels] = 0
    confidences: NDArray[np.float64] = others.max(1) / np.maximum(others.sum(1), np.finfo(np.float64).tiny)
    return confidences


def measure(
    threshold: float, probabilities: Probabilities, labels: Labels, strangers: NDArray[np.floating]
) -> list[dict[str, Any]]:
    """Return the rates at a threshold and at `THRESHOLDS`, in ascending order.

    Args:
        threshold: the chosen one.
        probabilities: of the test split.
        labels: its correct classes.
        strangers: (M,) confidences of strangers, or of `left_out` images.

    Returns:
        For each `threshold` the `true_accepts`, the share of test images that get their right name, and the
        `false_accepts`, the share of strangers that get any name; each with its 95% interval (Wilson 1927).
    """
    confidences, correct = probabilities.max(1), probabilities.argmax(1) == labels
    return [
        {"threshold": level}
        | _rate("true_accepts", correct & (confidences >= level))
        | _rate("false_accepts", strangers >= level)
        for level in sorted({threshold, *THRESHOLDS})
    ]


def _rate(name: str, accepted: NDArray[np.bool_]) -> dict[str, Any]:
    share = float(accepted.mean())
    return {
        name: round(share, 4),
        f"{name}_interval": [round(end, 4) for end in wilson(share, len(accepted))],
    }


def nearest(rates: Mapping[str, Any], threshold: float) -> dict[str, Any]:
    """Return the row of a ticket's `rates` whose threshold is nearest."""
    rows: list[dict[str, Any]] = rates["table"]
    return min(rows, key=lambda row: abs(float(row["threshold"]) - threshold))


def sentence(rates: Mapping[str, Any], threshold: float, strangers: str) -> str:
    """Return a sentence on the share of strangers that get a name all the same.

    Args:
        rates: of a ticket's metadata.
        threshold: of its answers.
        strangers: the word for images of none of the classes.
    """
    row, count = nearest(rates, threshold), rates["strangers"]
    low, high = row["false_accepts_interval"]
    share, origin = "", f"95% interval {low:.0%} to {high:.0%}, measured on {count} faces"
    if not rates["measured"]:
        share, origin = "at least ", f"an estimate from {count} images, each without its own class"
    return (
        f"At threshold {row['threshold']:g}, {share}{row['false_accepts']:.0%} of {strangers} get a name "
        f"({origin}): a closed-set classifier has no class for them. "
        f"{row['true_accepts']:.0%} of the test images get the right name."
    )
