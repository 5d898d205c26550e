"""Masks: which weights survive a round. NumPy alone, so that a pruning stage starts without PyTorch.

A mask is a bool array, True where the weight survives. Weights and masks are dicts of arrays
`(R, *shape)` by layer, R replicates, in the order of the network's layers; the last one is the output layer.
"""

import math

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
Masks = dict[str, NDArray[np.bool_]]


def magnitude(weights: NDArray[np.float32], rng: np.random.Generator) -> Scores:
    """Score a weight by its absolute value (Han et al. 2015, section 3)."""
    return np.abs(weights).astype(np.float64)


def random(weights: NDArray[np.float32], rng: np.random.Generator) -> Scores:
    """Score weights at random: the control that any criterion must beat."""
    return rng.random(weights.shape)


CRITERIA = {"magnitude": magnitude, "random": random}


def prune(
    weights: Weights,
    masks: Masks,
    *,
    rate: float,
    output_rate_factor: float,
    scope: str,
    criterion: str,
    seed: int,
) -> Masks:
    """Return the masks of the next round: each replicate loses its lowest-scored surviving weights.

    Args:
        weights: trained weights, at least of every layer in `masks`.
        masks: masks of the round before; what they removed stays removed.
        rate: share of the survivors to remove, 0 to 1. The count is rounded to the nearest weight.
        output_rate_factor: the output layer loses `rate` times this (Frankle & Carbin 2019, section 2: half).
            Of no effect in scope `global`.
        scope: `layer`: each layer loses the same share; `global`: one ranking over all layers.
        criterion: a key of `CRITERIA`.
        seed: of the random criterion.

    At least one weight of every layer survives, the one with the highest score.
    """
    after = {name: np.zeros_like(mask) for name, mask in masks.items()}
    replicates = len(next(iter(masks.values())))
    for replicate in range(replicates):
        rng = np.random.default_rng([seed, replicate])
        before = {name: mask[replicate].ravel() for name, mask in masks.items()}
        scores = {name: CRITERIA[criterion](weights[name][replicate].ravel(), rng) for name in masks}
        if scope == "global":
            flat = prune_globally(scores, before, rate)
        else:
            output = list(masks)[-1]
            rates = {name: rate * (output_rate_factor if name == output else 1) for name in masks}
            flat = {name: remove_lowest(scores[name], before[name], rates[name]) for name in masks}
        for name, mask in flat.items():
            after[name][replicate] = mask.reshape(masks[name].shape[1:])
    return after


def remove_lowest(scores: Scores, mask: NDArray[np.bool_], rate: float, least: int = 1) -> NDArray[np.bool_]:
    """Return `mask` (n,) less exactly `round(rate * survivors)` weights, those with the lowest scores.

    Of equal scores the earlier go first, so ties never remove more than asked for. At least `least` weights
    are left.
    """
    survivors = np.flatnonzero(mask)
    count = min(math.floor(rate * len(survivors) + 0.5), len(survivors) - least)
    lowest = np.argsort(scores[survivors], kind="stable")[:count]
    after = mask.copy()
    after[survivors[lowest]] = False
    return after


def prune_globally(scores: dict[str, Scores], masks: Masks, rate: float) -> Masks:
    """Rank the survivors of all layers (n,) together and remove the lowest share `rate` of them."""
    scores = {name: _protect_best(scores[name], masks[name]) for name in masks}
    joined = remove_lowest(
        np.concatenate([scores[name] for name in masks]),
        np.concatenate(list(masks.values())),
        rate,
        least=len(masks),
    )
    ends = np.cumsum([mask.size for mask in masks.values()])
    return dict(zip(masks, np.split(joined, ends[:-1]), strict=True))


def _protect_best(scores: Scores, mask: NDArray[np.bool_]) -> Scores:
    """Lift the best survivor of a layer above all others: a layer without weights would cut the network."""
    best = np.flatnonzero(mask)[np.argmax(scores[mask])]
    lifted = scores.copy()
    lifted[best] = np.inf
    return lifted


def density(masks: Masks) -> float:
    """Return the share of the weights that survive, 0 to 1, over all layers and replicates."""
    return float(sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values()))
