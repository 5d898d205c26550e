"""Sensitivity of a network to the removal of units from one group, and rates by it."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.pruning.modules import ModelMasks, prune_units
from prunet.pruning.unit_criteria import WITH_GRADIENTS
from prunet.structure.finding import find_units
from prunet.structure.masks import coupled, removed_units
from prunet.structure.program import Example
from prunet.structure.shrinking import apply_masks

SHARES = (0.25, 0.5, 0.75)
SLOPE = 1e-3  # added to each loss, by share: groups whose removal costs nothing then lose equal shares


class Sensitivity(NamedTuple):
    """Scores of a network without some units of one group, all others whole.

    Attributes:
        shares: of the group's units that are removed, ascending, 0 to 1.
        whole: score of the network with all units.
        scores: {group: score at each share}; a group has the name of its first weight.
    """

    shares: tuple[float, ...]
    whole: float
    scores: dict[str, list[float]]


def sensitivity(
    model: nn.Module,
    example: Example,
    score: Callable[[nn.Module], float],
    *,
    shares: Sequence[float] = SHARES,
    criterion: str = "unit-l2",
    masks: Mapping[str, Tensor] | None = None,
    seed: int = 0,
    attention: str = "heads",
) -> Sensitivity:
    """Measure how a network's score falls with the units of each group alone (Li et al. 2017, section 3.2).

    Args:
        model: it is not changed.
        example: inputs of the model, each (N, ...), a tensor or several.
        score: of a model, such as the accuracy on validation images; higher is better. It is not of test
            images, because it chooses what is removed.
        shares: of the surviving units of a group to remove, 0 to 1.
        criterion: of whole units, without gradients. Groups that it does not score are left out.
        masks: of the round before; all else survives.
        seed: of the random criterion.
        attention: the units of attention, `heads` or `widths`, as in `prunet.prune`.

    Raises:
        InputError: the criterion needs gradients.
    """
    if criterion in WITH_GRADIENTS:
        raise InputError(
            f"sensitivity ranks units without a loss, and {criterion} needs one; choose e.g. unit-l2."
        )
    units = find_units(model, example, attention)
    groups = coupled(units, any_dimension=True)[0]
    ordered = tuple(sorted(shares))

    def without(share: float, own: Mapping[str, float]) -> ModelMasks:
        how = {"criterion": criterion, "rate": share, "own": own, "scope": "layer", "seed": seed}
        return prune_units(model, units, masks or {}, None, {}, (), 1, how)

    before, after = (removed_units(units, found) for found in (masks or {}, without(ordered[-1], {})))
    fewer = {
        part.tensor.name
        for group, gone, left in zip(units.groups, after, before, strict=True)
        for part in group.rows
        if (gone & ~left).any()
    }
    scored = [group for group, layers in groups.items() if fewer & layers.keys()]
    scores: dict[str, list[float]] = {group: [] for group in scored}
    for group in scored:
        for share in ordered:
            pruned = copy.deepcopy(model)
            apply_masks(pruned, without(share, {other: 0.0 for other in groups if other != group}))
            scores[group].append(float(score(pruned)))
    whole = copy.deepcopy(model)
    apply_masks(whole, masks or {})
    return Sensitivity(ordered, float(score(whole)), scores)


def allocate(found: Sensitivity, loss: float) -> dict[str, float]:
    """Return the share of each group's units whose removal alone costs a part of the largest loss.

    Every group gives up equally much of the score, instead of equally many units: sensitive groups keep more,
    as Li et al. (2017, section 3.2) choose by hand. Between the measured shares the loss is interpolated, and
    it never falls with the share. No group loses more than the largest measured share.

    Args:
        found: of the network.
        loss: 0, where all units stay, to 1, where all groups lose the largest measured share.
    """
    curves = {
        group: found.whole - np.minimum.accumulate([found.whole, *scores])
        for group, scores in found.scores.items()
    }
    largest = max(float(curve[-1]) for curve in curves.values()) or 1.0
    shares = np.array([0.0, *found.shares])
    rising = {group: curve / largest + SLOPE * shares for group, curve in curves.items()}
    level = loss * max(float(curve[-1]) for curve in rising.values())
    return {group: float(np.interp(level, curve, shares)) for group, curve in rising.items()}
