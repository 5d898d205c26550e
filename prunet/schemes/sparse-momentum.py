"""Sparse training: drop the smallest, grow where momentum is large.

Dettmers & Zettlemoyer 2019, section 3 and algorithm 1. With Adam the momentum is its first moment.
"""

import numpy as np

from prunet.retraining.densities import apportion
from prunet.retraining.sparse_training import drop, grow, sparse_scheme
from prunet.training.plan import FlatMasks, MaskUpdate


def update(update: MaskUpdate) -> FlatMasks:
    """Drop each layer's smallest weights and grow as many, in all layers together, where momentum is largest.

    A layer's part of the growth is proportional to the mean momentum (absolute) of its weights before the
    drop, as in the authors' code (TimDettmers/sparse_learning, core.py).
    """
    kept, lost = drop(update)
    sizes = {name: np.abs(momenta) for name, momenta in update.momenta.items()}
    means = [float(sizes[name][mask].mean(dtype=np.float64)) for name, mask in update.masks.items()]
    room = [int(mask.size - mask.sum()) for mask in kept.values()]
    counts = apportion(sum(lost.values()), means, room)
    return {name: grow(kept[name], sizes[name], n) for name, n in zip(kept, counts, strict=True)}


SCHEME = sparse_scheme("sparse momentum", "#B8860B", "P", (0, (3, 2, 1, 2)), update, needs_momentum=True)
