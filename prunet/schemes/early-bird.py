"""Pruned once, early in the training: when the mask has settled.

You et al. 2020, "Drawing early-bird tickets", algorithm 1, for single weights by magnitude in place of
channels by the scales of norms: the dense network is trained until five updates in a row would hardly change
its mask, gets this mask, and trains on.
"""

from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.retraining.sparse_training import schedule, without_smallest
from prunet.training.plan import FlatMasks, MaskUpdate, TrainingPlan


def ticket(sources: Sources) -> Ticket:
    """Return the initial values, dense, on the way to as many weights as each layer of the round has."""
    plan = TrainingPlan(mask_schedule=schedule(sources, update, dense_first=True, settling=True))
    return Ticket(sources.initial(), sources.masks, plan)


def update(update: MaskUpdate) -> FlatMasks:
    """Return the masks without the smallest weights of every layer."""
    return {
        name: without_smallest(update.weights[name], mask, int(mask.sum()) - update.targets[name])
        for name, mask in update.masks.items()
    }


SCHEME = Scheme(
    ticket,
    "early-bird",
    "#1F3A93",
    "H",
    (0, (1, 3)),
    dense_at_round_0=True,
    keeps_mask=False,
    dynamic=True,
    updates_masks=True,
)
