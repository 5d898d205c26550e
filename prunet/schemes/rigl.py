"""Sparse training: drop the smallest, grow where gradients are large.

RigL (Evci et al. 2020, section 3 and algorithm 1), where an update takes the place of a step; here it follows
one and uses its gradients, so that every scheme takes as many steps.
"""

from functools import partial

import numpy as np

from prunet.retraining.scheme import Scheme
from prunet.retraining.sparse_training import drop, grow, sparse_ticket
from prunet.training.plan import FlatMasks, MaskUpdate


def update(update: MaskUpdate) -> FlatMasks:
    """Drop each layer's smallest weights and grow as many where the gradients are largest."""
    kept, lost = drop(update)
    return {name: grow(kept[name], np.abs(update.gradients[name]), lost[name]) for name in kept}


SCHEME = Scheme(
    partial(sparse_ticket, update=update),
    "RigL",
    "#7B3294",
    "d",
    (0, (8, 2)),
    dense_at_round_0=True,
    keeps_mask=False,
    dynamic=True,
    updates_masks=True,
    seed="sparse",
)
