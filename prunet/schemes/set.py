"""Sparse training: drop the smallest, grow random ones.

Sparse evolutionary training (Mocanu et al. 2018). The share falls along a cosine as in `rigl`, as Evci et al.
2020 compare the two; Mocanu's is constant, and taken of positive and of negative weights separately.
"""

from prunet.retraining.sparse_training import drop, grow, sparse_scheme
from prunet.training.plan import FlatMasks, MaskUpdate


def update(update: MaskUpdate) -> FlatMasks:
    """Drop each layer's smallest weights and grow as many at random positions."""
    kept, lost = drop(update)
    return {name: grow(kept[name], update.rng.random(kept[name].size), lost[name]) for name in kept}


SCHEME = sparse_scheme("SET", "#4D9221", ">", (0, (5, 2)), update)
