"""Pruned by magnitude during one training run, to the round's density.

Zhu & Gupta 2017, section 3: from the dense network before training to the number of weights that every layer
has in the round's mask.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.retraining.sparse_training import schedule, without_smallest
from prunet.training.plan import FlatMasks, MaskUpdate, TrainingPlan, round_half_up


def ticket(sources: Sources) -> Ticket:
    """Return the initial values, dense, on the way to the round's masks."""
    plan = TrainingPlan(mask_schedule=schedule(sources, update, dense_first=True))
    return Ticket(sources.initial(), sources.masks, plan)


def update(update: MaskUpdate) -> FlatMasks:
    """Remove the smallest weights, so that a layer's density falls along a cubic curve to the round's.

    Zhu & Gupta 2017, equation 1: quickly at first, when much is redundant, then ever more slowly.
    """
    after = {}
    for name, mask in update.masks.items():
        target = update.targets[name]
        count = round_half_up(target + (mask.size - target) * (1 - update.progress) ** 3)
        after[name] = without_smallest(update.weights[name], mask, int(mask.sum()) - count)
    return after


SCHEME = Scheme(
    ticket,
    "gradual pruning",
    "#000000",
    "*",
    (0, (2, 1)),
    dense_at_round_0=True,
    keeps_mask=False,
    dynamic=True,
    updates_masks=True,
)
