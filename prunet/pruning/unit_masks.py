"""Removal of whole units from masks: rows that depend on one another are removed together.

Groups list the rows that do: {group: {layer: (out,) ids}}, as `prunet.structure` finds them. Rows with the
same id, in all layers of the group, are one unit: the pair that a max-feature-map compares, the rows that a
residual sum adds up. An id may be missing in some layers; rows with id -1 stay. The output layer is not in a
group: its units are classes.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.cells.masks import Masks
from prunet.pruning import rates
from prunet.pruning.criteria import Evidence, Groups, Rows
from prunet.pruning.removal import Scores, remove, round_up
from prunet.pruning.unit_criteria import COMPARABLE, UNIT_CRITERIA

# Of each group, sets of units and the number that the survivors of each are to be a multiple of.
Multiples = Mapping[str, Sequence[tuple[NDArray[np.integer[Any]], int]]]


def rank_units(
    evidence: Evidence,
    groups: Groups,
    *,
    criterion: str,
    own: Mapping[str, float],
    scope: str,
    least: int,
    multiples: Multiples,
    allocate: Callable[[float], Mapping[str, float]] | None,
) -> Callable[[float], Masks]:
    """Score the units of one network; return its masks (*shape) without the lowest, at any rate.

    The rate is the share of the surviving units of a group, or of all, to remove, 0 to 1. A higher rate
    removes the same units and more.

    Args:
        evidence: of the network.
        groups: of its layers; those that are not scored stay.
        criterion: a key of `UNIT_CRITERIA`.
        own: rates of layers, and so of their groups, that have their own.
        scope: `layer`: each group loses the same share; `global`: one ranking.
        least: 1: every layer keeps its unit with the highest score; 0: it may lose all.
        multiples: fewer units are removed where the rest would not be a multiple of these.
        allocate: from the rate to that of each group, in place of `scope`; groups without one stay.

    Raises:
        InputError: layers of one group have different rates, or the criterion scores no layer.
    """
    own = rates.group_rates(groups, own)
    open_ = [name for group, layers in groups.items() if own.get(group) != 0 for name in layers]
    asked = evidence._replace(masks={name: mask for name, mask in evidence.masks.items() if name in open_})
    by_row = UNIT_CRITERIA[criterion](asked)
    if open_ and not by_row:
        raise InputError(f"criterion {criterion} finds no units in {', '.join(open_)}: choose another one.")
    scores, alive, kept = {}, {}, {}
    for group, layers in groups.items():
        if any(name in by_row for name in layers):
            relative = criterion not in COMPARABLE
            scores[group], alive[group] = score_units(layers, by_row, evidence.masks, relative)
            best = best_units(layers, scores[group], alive[group]) if least else []
            scores[group][best] = np.inf
            kept[group] = len(best)

    def at(rate: float) -> Masks:
        shares = {**dict.fromkeys(alive, 0.0), **allocate(rate), **own} if allocate else own
        left = remove(scores, alive, rate=rate, own=shares, scope=scope, least=kept)
        masks = {name: mask.copy() for name, mask in evidence.masks.items()}
        for group in left:
            rest = round_up(scores[group], alive[group], left[group], multiples.get(group, ()))
            for name, ids in groups[group].items():
                masks[name][np.isin(ids, np.flatnonzero(alive[group] & ~rest))] = False
        return masks

    return at


def score_units(
    layers: Rows, by_row: Mapping[str, Scores], masks: Masks, relative: bool
) -> tuple[Scores, NDArray[np.bool_]]:
    """Return the scores (n,) of the units of a group, and which survive (n,).

    A unit's score is the mean over its surviving rows in all layers of the group. If `relative`, each row's
    score is first divided by its layer's mean: otherwise layers with longer rows would lose no unit, and
    layers with short ones, early in a residual network, would lose all.
    """
    count = max(int(ids.max()) for ids in layers.values()) + 1
    total, rows = np.zeros(count), np.zeros(count)
    for name, ids in layers.items():
        if name in by_row:
            there = (ids >= 0) & masks[name].reshape(len(ids), -1).any(1)
            row_scores = by_row[name][there].astype(np.float64)
            if relative and row_scores.any():
                row_scores /= row_scores.mean()
            total += np.bincount(ids[there], row_scores, count)
            rows += np.bincount(ids[there], minlength=count)
    return total / np.maximum(rows, 1), rows > 0


def best_units(layers: Rows, scores: Scores, alive: NDArray[np.bool_]) -> list[int]:
    """Return the best surviving unit of every layer of a group; a unit may be the best of several layers.

    A layer may have few of the group's units: early layers of a residual network, to which later ones add
    channels. Without its best unit it would be empty. Of equal units the last counts: the earlier go first.
    """
    best = set()
    for ids in layers.values():
        units = np.unique(ids[ids >= 0])[::-1]
        units = units[alive[units]]
        best.add(int(units[np.argmax(scores[units])]))
    return sorted(best)
