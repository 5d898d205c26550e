"""Confidence threshold below which a face is unknown."""

import math

import numpy as np
from numpy.typing import NDArray

STEPS = 10_000  # resolution of the threshold: four decimals


def unknown_threshold(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], keep: float = 0.95
) -> float:
    """Return the probability below which an answer counts as "unknown", chosen on the validation split.

    It is the largest threshold at which at least the fraction `keep` of the correctly classified images stays
    known, rounded down to four decimals so that rounding elsewhere loses none of them. This is the
    maximum-softmax baseline of Hendrycks & Gimpel 2017 ("A Baseline for Detecting Misclassified and
    Out-of-Distribution Examples in Neural Networks") at a fixed true positive rate.

    Args:
        probabilities: (N, classes) of the validation split, rows summing to 1.
        labels: (N,) correct classes.
        keep: above 0, at most 1.

    Returns:
        0 to 1; 1 if no image is classified correctly, so that every answer is unknown.
    """
    correct = probabilities.argmax(1) == labels
    confidences: list[float] = sorted(probabilities.max(1)[correct].tolist(), reverse=True)
    if not confidences:
        return 1.0
    count = max(1, math.ceil(round(keep * len(confidences), 6)))  # 0.07 * 100 is slightly above 7
    return int(confidences[count - 1] * STEPS) / STEPS
