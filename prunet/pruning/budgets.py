"""Budgets: the largest network whose costs are within shares of the dense network's."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, density
from prunet.pruning.criteria import CRITERIA
from prunet.structure.finding import Units
from prunet.structure.shares import shares_left

COSTS = ("macs", "parameters", "bytes", "milliseconds")
HALVINGS = 30  # of the rate: enough to tell a unit from the next
TIMED_HALVINGS = 8  # times differ from one measurement to the next


class Budget(NamedTuple):
    """A budget of one network.

    Attributes:
        target: {cost: the share of the dense network's that may be left}; each must hold.
        shares: from masks (*shape) of the network to the share of each of these costs that is left.
    """

    target: Mapping[str, float]
    shares: Callable[[Masks], Mapping[str, float]]


def budget(
    target: Mapping[str, float], criterion: str, units: Callable[[], Units], inputs: Sequence[Tensor]
) -> Budget | None:
    """Return the budget of a valid target; None if it is empty.

    Args:
        target: {cost: the share of the dense network's that may be left}.
        criterion: of single weights, whose `parameters` are those that can be pruned; or of whole units,
            whose costs are those of the smaller network.
        units: returns the units of the network.
        inputs: that are timed if the target has `milliseconds`, each (N, ...).
    """
    if not target:
        return None
    if criterion in CRITERIA:
        return Budget(target, lambda masks: {"parameters": density(masks)})
    return Budget(target, shares_left(units(), target, inputs))


def check(target: Mapping[str, float], criterion: str, round_to: int) -> None:
    """Refuse a target that has no meaning, or not for the criterion.

    Raises:
        InputError: a cost is unknown, its share is not between 0 and 1, or it is one that single weights do
            not change; or `round_to` is given for single weights.
    """
    for name, share in target.items():
        if name not in COSTS:
            raise InputError(f"target names {name!r}, which is not a cost; choose from {', '.join(COSTS)}.")
        if not 0 < share < 1:
            raise InputError(f"target.{name} is {share:g}; give a share between 0 and 1.")
        if criterion in CRITERIA and name != "parameters":
            raise InputError(
                f"target.{name} does not change when criterion {criterion} removes single weights; give "
                "target.parameters, or choose a criterion of whole units."
            )
    if round_to < 1:
        raise InputError(f"round_to is {round_to}; give a whole number from 1.")
    if criterion in CRITERIA and round_to > 1:
        raise InputError(
            f"round_to is {round_to}, and criterion {criterion} removes single weights; choose a criterion "
            "of whole units."
        )


def largest(at: Callable[[float], Masks], budget: Budget) -> Masks:
    """Return the masks of the largest network within a budget, by bisection over the rate.

    Times need not fall with the rate. The result is then within the budget, but a larger network may be too.

    Args:
        at: from a rate, 0 to 1, to masks (*shape); a higher rate removes the same and more.
        budget: that the network must keep.

    Raises:
        InputError: even at a rate of 1, which leaves one unit or weight of each layer, more is left.
    """

    def within(masks: Masks) -> bool:
        left = budget.shares(masks)
        return all(left[name] <= share for name, share in budget.target.items())

    if within(found := at(0.0)):
        return found
    if not within(found := at(1.0)):
        left = budget.shares(found)
        name = max(budget.target, key=lambda cost: left[cost] / budget.target[cost])
        raise InputError(
            f"target.{name} is {budget.target[name]:.4g}, and {left[name]:.4g} is left when every layer has "
            "lost all that it may; give a larger share, or let more layers be pruned."
        )
    low, high = 0.0, 1.0
    for _ in range(TIMED_HALVINGS if "milliseconds" in budget.target else HALVINGS):
        middle = (low + high) / 2
        masks = at(middle)
        if within(masks):
            high, found = middle, masks
        else:
            low = middle
    return found
