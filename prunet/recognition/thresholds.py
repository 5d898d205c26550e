"""When a network had better say that it does not know."""

import math

import numpy as np
from numpy.typing import NDArray

STEPS = 10_000  # of the scale from 0 to 1


def unknown_threshold(
    probabilities: NDArray[np.floating], labels: NDArray[np.int64], keep: float = 0.95
) -> float:
    """Return the probability below which an answer counts as "unknown", chosen on the validation split.

    It is the largest one at which at least the share `keep` of the rightly recognised images stays known,
    rounded down to four decimals, so that rounding elsewhere loses none of them. This is the confidence
    threshold of Hendrycks & Gimpel 2017 ("A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks") with the true positive rate set.

    Args:
        probabilities: (N, classes) of the validation split, each row summing to 1.
        labels: (N,) right classes.
        keep: above 0, at most 1.

    Returns:
        0 to 1; 1 if no image is recognised rightly: such a network knows nobody.
    """
    right = probabilities.argmax(1) == labels
    confidences: list[float] = sorted(probabilities.max(1)[right].tolist(), reverse=True)
    if not confidences:
        return 1.0
    count = max(1, math.ceil(round(keep * len(confidences), 6)))  # 0.07 x 100 is a little more than 7
    return int(confidences[count - 1] * STEPS) / STEPS
