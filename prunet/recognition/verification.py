"""Verification: do two photos show the same person? Rates over all pairs of photos of some people.

A pair is two different photos, each with one face, in either order. It is one of the *same* person if both
photos are of that person, else of two *different* people; every such pair counts once. Its score is the
cosine of the two embeddings. At a threshold, the share of pairs of different people whose score reaches it is
the false-accept rate, that of pairs of the same person the true-accept rate. Rates of true accepts are given
at a fixed rate of false accepts, as in NIST's evaluations (Grother, Ngan & Hanaoka, "Face Recognition Vendor
Test, Part 1: Verification"; it prints one minus the rate). Labeled Faces in the Wild (Huang et al. 2007)
scores 6,000 pairs that were drawn in advance; here all pairs count.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces.likeness import Vectors
from prunet.deployment import thresholds

FALSE_ACCEPTS = 0.01  # rate that a ticket's threshold for two photos allows


class Pairs(NamedTuple):
    """Cosines of all pairs of photos."""

    same: NDArray[np.float64]  # (P,) of one person
    different: NDArray[np.float64]  # (Q,) of two people


class Rates(NamedTuple):
    """Rates at which a threshold on the cosine tells pairs of the same person from pairs of different people.

    Attributes:
        auroc: area under the curve of `curve`: the probability that a pair of the same person has the higher
            cosine (0.5: by chance).
        equal_error_rate: the rate of false accepts where as many pairs of the same person are refused.
        true_accepts: the highest rate of true accepts at which false accepts are at most a given rate.
    """

    auroc: float
    equal_error_rate: float
    true_accepts: float


def pairs(embeddings: Vectors, people: NDArray[np.int64]) -> Pairs:
    """Return the cosines of all pairs of photos.

    Args:
        embeddings: (N, D) unit vectors.
        people: (N,), the person on each.
    """
    first, second = np.triu_indices(len(people), 1)
    vectors = embeddings.astype(np.float64)
    cosines = np.clip((vectors @ vectors.T)[first, second], -1, 1)
    same = people[first] == people[second]
    return Pairs(cosines[same], cosines[~same])


def measure(found: Pairs, false_accepts: float) -> Rates:
    """Return the rates of all pairs.

    Args:
        found: from `pairs`, at least one of each kind.
        false_accepts: the rate that `true_accepts` is given at, 0 to 1.
    """
    from sklearn.metrics import auc  # slow to import, and `threshold` does without

    false, true = _curve(found)
    equal = np.interp(0, false - (1 - true), false)
    return Rates(float(auc(false, true)), float(equal), float(true[false <= false_accepts].max()))


def curve(found: Pairs, false_accepts: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the highest rate of true accepts at each of these rates of false accepts (a ROC curve)."""
    false, true = _curve(found)
    return true[np.searchsorted(false, false_accepts, side="right") - 1]


def _curve(found: Pairs) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rates of false and of true accepts, ascending, from the highest threshold to the lowest."""
    from sklearn.metrics import roc_curve

    labels = np.repeat([1, 0], [len(found.same), len(found.different)])
    false, true, _ = roc_curve(labels, np.concatenate(found), drop_intermediate=False)
    return np.asarray(false), np.asarray(true)


def calibrate(embeddings: Vectors, people: NDArray[np.int64], of: str) -> dict[str, Any]:
    """Return the lowest cosine at which two photos count as of one person, for a ticket's metadata.

    Args:
        embeddings: (N, D) unit vectors, of at least two people.
        people: (N,), the person on each.
        of: words that say who they are.

    Returns:
        It as `threshold`, the rate of `false_accepts` that it allows, the number of `pairs` of two people and
        of `people` that it was measured on, and `of`.
    """
    found = pairs(embeddings, people)
    return {
        "threshold": threshold(found, FALSE_ACCEPTS),
        "false_accepts": FALSE_ACCEPTS,
        "pairs": len(found.different),
        "people": len(np.unique(people)),
        "of": of,
    }


def threshold(found: Pairs, false_accepts: float) -> float:
    """Return the lowest threshold, in steps of 0.0001, at which false accepts are at most a rate.

    Args:
        found: from `pairs`, at least one of two people.
        false_accepts: the rate, 0 to 1.
    """
    return thresholds.stranger_threshold(found.different, false_accepts)
