"""Sparse training: drop the smallest, grow where gradients are large.

RigL (Evci et al. 2020, section 3 and algorithm 1), where an update takes the place of a step; here it follows
one and uses its gradients, so that every scheme takes as many steps.
"""

import numpy as np

from prunet.retraining.sparse_training import drop, grow, sparse_scheme
from prunet.training.plan import FlatMasks, MaskUpdate


def update(update: MaskUpdate) -> FlatMasks:
    """Drop each layer's smallest weights and grow as many where the gradients are largest."""
    kept, lost = drop(update)
    return {name: grow(kept[name], np.abs(update.gradients[name]), lost[name]) for name in kept}


SCHEME = sparse_scheme("RigL", "#7B3294", "d", (0, (8, 2)), update)
