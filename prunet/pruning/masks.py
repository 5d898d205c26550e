"""Masks: which weights survive, and how the lowest are removed from them. NumPy alone.

A mask is a bool array, True where the weight survives. Weights and masks are dicts of arrays
`(R, *shape)` by layer, R replicates, in the order of the network's layers; the last one is the output layer.
What is removed here has one dimension, (n,): the weights of a layer, or its units.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError

Scores = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
Masks = dict[str, NDArray[np.bool_]]

LEAST = {"keep-one": 1, "refuse": 0}  # what a layer keeps of what would empty it


def remove(
    scores: Mapping[str, Scores],
    masks: Masks,
    *,
    rate: float,
    own: Mapping[str, float],
    scope: str,
    least: Mapping[str, int],
) -> Masks:
    """Return masks {name: (n,)} less exactly the rounded share of the lowest scores.

    Args:
        scores: of all that is in `masks`, (n,) each.
        masks: what survives.
        rate: share of the survivors to remove, 0 to 1.
        own: names with a rate of their own.
        scope: `layer`: each name loses the same share; `global`: one ranking over all names without a rate of
            their own.
        least: how many of each name are left, whatever the rate.

    Raises:
        InputError: a score is not a number.
    """
    for name in masks:
        if np.isnan(scores[name]).any():
            raise InputError(
                f"scores of {name} are not numbers, as its weights are too large: lower the learning rate of "
                "the study, or choose another prune.criterion."
            )
    alone = [name for name in masks if scope == "layer" or name in own]
    after = {
        name: remove_lowest(scores[name], masks[name], own.get(name, rate), least[name]) for name in alone
    }
    after |= remove_together(scores, {name: masks[name] for name in masks if name not in alone}, rate, least)
    return {name: after[name] for name in masks}


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


def remove_together(
    scores: Mapping[str, Scores], masks: Masks, rate: float, least: Mapping[str, int]
) -> Masks:
    """Rank the survivors of all names (n,) together and remove the lowest share `rate` of them.

    The best of each name is left unless its `least` is 0, and of all together as many as these add up to.
    """
    if not masks:
        return {}
    joined = remove_lowest(
        np.concatenate(
            [
                _protect_best(scores[name], mask) if least[name] else scores[name]
                for name, mask in masks.items()
            ]
        ),
        np.concatenate(list(masks.values())),
        rate,
        least=sum(least[name] for name in masks),
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
