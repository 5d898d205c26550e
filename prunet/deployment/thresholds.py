"""Choice of the confidence threshold below which an answer is "unknown".

The confidence is the largest class probability: the maximum-softmax baseline of Hendrycks & Gimpel 2017 ("A
Baseline for Detecting Misclassified and Out-of-Distribution Examples in Neural Networks").
"""

import math

import numpy as np
from numpy.typing import NDArray

STEPS = 10_000  # resolution of the threshold: four decimals


def known_threshold(probabilities: NDArray[np.floating], labels: NDArray[np.int64], keep: float) -> float:
    """Return the threshold at which the share `keep` of the correct answers on validation images is known.

    It is the largest threshold at which at least this share stays known, rounded down to four decimals so
    that rounding elsewhere loses none of them.

    Args:
        probabilities: (N, classes) of the validation split, rows summing to 1.
        labels: (N,) its correct classes.
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


def stranger_threshold(confidences: NDArray[np.floating], share: float) -> float:
    """Return the lowest threshold, in steps of 0.0001, at which at most a share of the strangers get a name.

    Args:
        confidences: (M,) of at least one stranger's face.
        share: 0 to 1.

    Returns:
        0 to 1; 1 even if more strangers than that have a confidence of 1.
    """
    allowed = math.floor(round(share * len(confidences), 6))
    if allowed == len(confidences):
        return 0.0
    first_refused = float(np.sort(confidences)[::-1][allowed])
    return min(1.0, (int(first_refused * STEPS) + 1) / STEPS)
