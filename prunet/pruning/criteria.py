"""Criteria that score single weights; the weights with the lowest scores are removed.

A criterion is a function from `Evidence` to scores, and a line of `CRITERIA`. Evidence is read or computed
only if a criterion asks for it.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.pruning.removal import Scores

Rows = Mapping[str, NDArray[np.integer[Any]]]
Groups = Mapping[str, Rows]  # rows of layers that go together (`unit_masks`)


class Evidence(NamedTuple):
    """The facts about one network that a criterion may use.

    Attributes:
        weights: {tensor: (*shape)} after training, zero where pruned; all tensors, in the network's order.
        masks: {layer: (*shape)} of the layers to score. Pruned weights may get any finite score.
        initial: returns the weights before training, at step 0 of the dense training; not masked.
        gradients: returns {layer: (*shape)}, the mean of g^power over `prune.criterion_images` training
            images, where g is the gradient of one image's cross-entropy, for the given weights under the
            masks, and the power is 1 or 2.
        row_slopes: returns {layer: (images, out)}, for each of these images the sum of w * g over the weights
            of every row, for the given weights under the masks.
        synaptic_flow: returns {layer: (*shape)}, the flow through each of the given weights under the given
            masks (`queries.synaptic_flow`).
        norms: returns {layer: name of the BatchNorm module behind it}, for the layers that have one.
        groups: returns the rows of layers that go together.
        rng: the network's own random generator.
    """

    weights: Weights
    masks: Masks
    initial: Callable[[], Weights]
    gradients: Callable[[Weights, int], dict[str, Scores]]
    row_slopes: Callable[[Weights], dict[str, Scores]]
    synaptic_flow: Callable[[Weights, Masks], dict[str, Scores]]
    norms: Callable[[], Mapping[str, str]]
    groups: Callable[[], Groups]
    rng: np.random.Generator


def magnitude(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by its absolute value (Han et al. 2015, section 3)."""
    return {name: np.abs(evidence.weights[name]).astype(np.float64) for name in evidence.masks}


def lamp(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by its square, over the sum of the squares that follow in its layer (Lee et al. 2021).

    That is w^2 divided by the sum of w^2 over itself and all larger weights left in the layer (equation 4; of
    equal weights the later count as larger): the share of what is left that the layer would lose. The
    largest weight of every layer scores 1. Within a layer the order is that of the magnitudes, so that the
    scores differ from these only in one ranking of all layers (scope global).
    """
    return {
        name: _share_of_larger(evidence.weights[name].astype(np.float64) * mask)
        for name, mask in evidence.masks.items()
    }


def random(evidence: Evidence) -> dict[str, Scores]:
    """Score weights at random: a control that every criterion must beat."""
    return {name: evidence.rng.random(mask.shape) for name, mask in evidence.masks.items()}


def movement(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by how far training moved it from zero (Sanh et al. 2020, section 4).

    Theirs is the sum of -w * dL/dw over the training. A step of SGD moves w by -lr * dL/dw, so that small
    steps add up to (trained^2 - initial^2) / 2, apart from the factor lr, which does not affect the ranking.
    This closed form is used with any optimizer, since it needs no record of the training. Initial is step 0.
    """
    initial = evidence.initial()
    return {
        name: (evidence.weights[name].astype(np.float64) ** 2 - initial[name].astype(np.float64) ** 2) / 2
        for name in evidence.masks
    }


def taylor(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by |w * dL/dw| after training (Molchanov et al. 2017, 2019).

    To first order, this is how much the loss would change without the weight. The later paper squares it,
    which ranks the same. The papers average over the training; here the gradient is taken at its end.
    """
    return _sensitivity(evidence, evidence.weights)


def fisher(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by w^2 * h / 2 after training: Optimal Brain Damage (LeCun et al. 1990, equation 5).

    To second order, this is how much the loss rises without the weight if its gradient is zero, as at the
    end of training. The curvature h is the diagonal of the empirical Fisher information (Theis et al. 2018,
    section 2.2): the mean of the squared gradients of single images. Squares of the gradients of batches
    would be smaller, and would vanish for one batch of all images, where the training has converged.
    """
    squares = evidence.gradients(evidence.weights, 2)
    return {
        name: evidence.weights[name].astype(np.float64) ** 2 * squares[name] / 2 for name in evidence.masks
    }


def snip(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by |w * dL/dw| before training, its sensitivity (Lee et al. 2019, section 4).

    At the initial values under the masks of the round before. The paper's division by the sum over the
    network does not affect the ranking and is left out.
    """
    return _sensitivity(evidence, evidence.initial())


def synflow(evidence: Evidence) -> dict[str, Scores]:
    """Score a weight by the flow through it before training (Tanaka et al. 2020, algorithm 1).

    At the initial values under the masks. As in the paper, a round scores and prunes in a hundred small
    steps (`STEPS`), since one step can remove a whole layer. The paper ranks all layers together (scope
    global).
    """
    flow = evidence.synaptic_flow(evidence.initial(), evidence.masks)
    return {name: flow[name] for name in evidence.masks}


def _share_of_larger(weights: Scores) -> Scores:
    squares = weights.ravel() ** 2
    largest_first = np.argsort(squares, kind="stable")[::-1]
    sums = np.empty_like(squares)
    sums[largest_first] = np.cumsum(squares[largest_first])
    return np.divide(squares, sums, out=np.zeros_like(squares), where=sums != 0).reshape(weights.shape)


def _sensitivity(evidence: Evidence, weights: Weights) -> dict[str, Scores]:
    gradients = evidence.gradients(weights, 1)
    return {name: np.abs(weights[name] * gradients[name]) for name in evidence.masks}


CRITERIA: dict[str, Callable[[Evidence], dict[str, Scores]]] = {
    "magnitude": magnitude,
    "lamp": lamp,
    "random": random,
    "movement": movement,
    "taylor": taylor,
    "fisher": fisher,
    "snip": snip,
    "synflow": synflow,
}
STEPS = {"synflow": 100}  # of scoring and pruning in a round, where it is more than one


def check_scope(criterion: str, scope: str) -> None:
    """Refuse a scope in which a criterion would be another one.

    Raises:
        InputError: the criterion is lamp, and the scope is not global.
    """
    if criterion == "lamp" and scope != "global":
        raise InputError(
            f"criterion lamp compares the weights of different layers, and with scope {scope} it would be "
            "magnitude; set scope to global, or choose criterion magnitude."
        )
