"""Criteria that score whole units: rows of a layer's weight, that is filters or fully connected units.

As in `criteria`, but the scores are (out,) for each layer. Units of layers without scores stay.
"""

from collections.abc import Callable

import numpy as np

from prunet.base.errors import InputError
from prunet.pruning.criteria import Evidence
from prunet.pruning.removal import Scores


def unit_l2(evidence: Evidence) -> dict[str, Scores]:
    """Score a filter or fully connected unit by the L2 norm of its incoming weights."""
    return {name: np.linalg.norm(rows, axis=1) for name, rows in _rows(evidence).items()}


def unit_random(evidence: Evidence) -> dict[str, Scores]:
    """Score filters and fully connected units at random: a control that every criterion must beat."""
    return {name: evidence.rng.random(len(mask)) for name, mask in evidence.masks.items()}


def filter_l1(evidence: Evidence) -> dict[str, Scores]:
    """Score a filter by its L1 norm; fully connected units stay (Li et al. 2017, section 3.1)."""
    return {name: np.abs(rows).sum(1) for name, rows in _filters(evidence).items()}


def filter_l2(evidence: Evidence) -> dict[str, Scores]:
    """Score a filter by its L2 norm; fully connected units stay (Li et al. 2017, appendix)."""
    return {name: np.linalg.norm(rows, axis=1) for name, rows in _filters(evidence).items()}


def batchnorm_scale(evidence: Evidence) -> dict[str, Scores]:
    """Score a unit by the |scale| of the batch norm behind it (Liu et al. 2017, section 3).

    Raises:
        InputError: a layer has no norm behind it.
    """
    norms = evidence.norms()
    without = [name for name in evidence.masks if name not in norms]
    if without:
        raise InputError(
            f"criterion batchnorm-scale needs a batch norm behind every layer, and {', '.join(without)} "
            f"{'has' if len(without) == 1 else 'have'} none: choose another criterion, or name the layers in "
            "the study's layers.leave_out."
        )
    return {
        name: np.abs(evidence.weights[f"{norms[name]}.weight"]).astype(np.float64) for name in evidence.masks
    }


def geometric_median(evidence: Evidence) -> dict[str, Scores]:
    """Score a filter by its distances to all others (He et al. 2019, section 3).

    The score is the sum of the Euclidean distances to the surviving filters of its layer: the others can
    replace a filter close to their geometric median. Fully connected units are scored in the same way.
    """
    from scipy.spatial.distance import cdist  # slow to import, and no other criterion needs it

    scores = {}
    for name, rows in _rows(evidence).items():
        alive = evidence.masks[name].reshape(len(rows), -1).any(1)
        scores[name] = cdist(rows, rows[alive]).sum(1)
    return scores


def unit_taylor(evidence: Evidence) -> dict[str, Scores]:
    """Score a unit by (sum of w * dL/dw)^2 over its weights (Molchanov et al. 2019, section 3).

    To first order, the sum is the change of the loss without the unit; it runs over the incoming weights of
    all rows that are removed together, without biases and norms. The paper averages over the training; here
    the gradient is taken at its end.
    """
    gradients = evidence.gradients(evidence.weights, 1)
    slopes = {
        name: (evidence.weights[name] * mask * gradients[name]).reshape(1, len(mask), -1).sum(2)
        for name, mask in evidence.masks.items()
    }
    return _mean_squares(evidence, slopes)


def unit_fisher(evidence: Evidence) -> dict[str, Scores]:
    """Score a unit by half the mean over images of (sum of w * dL/dw)^2 (Theis et al. 2018, section 2.2).

    To second order, this is how much the loss rises without the unit if its gradient is zero, as at the end
    of training; the curvature is the empirical Fisher information. The sum of a single image runs over the
    same weights as that of `unit_taylor`.
    """
    found = _mean_squares(evidence, evidence.row_slopes(evidence.weights))
    return {name: scores / 2 for name, scores in found.items()}


def _mean_squares(evidence: Evidence, slopes: dict[str, Scores]) -> dict[str, Scores]:
    """Return for every row the mean over images of the square of its unit's slope.

    Args:
        evidence: with the groups.
        slopes: {layer: (images, out)} of rows; those of a unit are added.
    """
    scores: dict[str, Scores] = {}
    for layers in evidence.groups().values():
        asked = {name: ids for name, ids in layers.items() if name in evidence.masks}
        if asked:
            ids = np.concatenate(list(asked.values()))
            rows = np.concatenate([slopes[name] for name in asked], axis=1)
            total = np.zeros((2 + ids.max(), len(rows)))
            np.add.at(total, ids, rows.T)  # rows that stay, whose id is -1, come last
            squares = (total**2).mean(1)
            scores |= {name: squares[own] for name, own in asked.items()}
    return scores


def _rows(evidence: Evidence) -> dict[str, Scores]:
    """Return the weights of the layers to score, (out, the rest) each."""
    weights = evidence.weights
    return {name: weights[name].reshape(len(mask), -1).astype(float) for name, mask in evidence.masks.items()}


def _filters(evidence: Evidence) -> dict[str, Scores]:
    return {name: rows for name, rows in _rows(evidence).items() if evidence.weights[name].ndim > 2}


UNIT_CRITERIA: dict[str, Callable[[Evidence], dict[str, Scores]]] = {
    "unit-l2": unit_l2,
    "unit-random": unit_random,
    "filter-l1": filter_l1,
    "filter-l2": filter_l2,
    "batchnorm-scale": batchnorm_scale,
    "geometric-median": geometric_median,
    "unit-taylor": unit_taylor,
    "unit-fisher": unit_fisher,
}
WITH_GRADIENTS = ("unit-taylor", "unit-fisher")
COMPARABLE = ("batchnorm-scale", *WITH_GRADIENTS)  # whose scores compare across layers as they are
