"""Removal of the lowest-scored weights or units from masks (n,).

Exactly the rounded share goes; of equal scores the earlier go first.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.cells.masks import Masks

Scores = NDArray[np.float64]

LEAST = {"keep-one": 1, "refuse": 0}  # survivors that a layer keeps in any case, by `prune.empty_layers`


def remove(
    scores: Mapping[str, Scores],
    masks: Masks,
    *,
    rate: float,
    own: Mapping[str, float],
    scope: str,
    least: Mapping[str, int],
) -> Masks:
    """Return masks {name: (n,)} without the rounded share of the lowest scores.

    Args:
        scores: (n,) for every name in `masks`.
        masks: the current survivors.
        rate: share of the survivors to remove, 0 to 1.
        own: rates of the names that have their own.
        scope: `layer`: the same share of each name; `global`: one ranking over all names without their own
            rate.
        least: survivors that each name keeps, whatever the rate.

    Raises:
        InputError: a score is NaN.
    """
    check_numbers(scores, masks)
    alone = [name for name in masks if scope == "layer" or name in own]
    after = {
        name: remove_lowest(scores[name], masks[name], own.get(name, rate), least[name]) for name in alone
    }
    after |= remove_together(scores, {name: masks[name] for name in masks if name not in alone}, rate, least)
    return {name: after[name] for name in masks}


def check_numbers(scores: Mapping[str, Scores], names: Iterable[str]) -> None:
    """Refuse scores that are NaN.

    Raises:
        InputError: a score of one of the names is NaN.
    """
    for name in names:
        if np.isnan(scores[name]).any():
            raise InputError(
                f"scores of {name} are not numbers because its weights are too large: lower the study's "
                "learning rate, or choose another prune.criterion."
            )


def remove_lowest(scores: Scores, mask: NDArray[np.bool_], rate: float, least: int = 1) -> NDArray[np.bool_]:
    """Return `mask` (n,) without exactly `round(rate * survivors)` survivors, those with the lowest scores.

    Of equal scores the earlier go first, so ties never remove more than asked for. At least `least` survive.
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

    The best survivor of each name stays unless its `least` is 0.
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


def round_up(
    scores: Scores,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    multiples: Iterable[tuple[NDArray[np.integer[Any]], int]],
) -> NDArray[np.bool_]:
    """Return `after` (n,) with the best of what was removed restored, up to round numbers.

    Args:
        scores: (n,).
        before: survivors before the removal; no others are restored.
        after: survivors of the removal of the lowest scores.
        multiples: sets of indices, and the number that the survivors of each are to be a multiple of. All
            that is left of a set of fewer survives.
    """
    rounded = after.copy()
    for own, multiple in multiples:
        there = own[before[own]]
        wanted = math.ceil(np.count_nonzero(after[own]) / multiple) * multiple
        order = np.argsort(scores[there], kind="stable")
        rounded[there[order[max(0, len(there) - wanted) :]]] = True
    return rounded


def _protect_best(scores: Scores, mask: NDArray[np.bool_]) -> Scores:
    """Raise the best survivor of a layer above all others: a layer without weights would cut the network."""
    best = np.flatnonzero(mask)[np.argmax(scores[mask])]
    raised = scores.copy()
    raised[best] = np.inf
    return raised
