"""Permutations of a layer's weights, for the controls of the mask."""

import numpy as np

from prunet.retraining.scheme import Sources


def permutations(sources: Sources) -> dict[str, list[np.ndarray]]:
    """Draw for every layer a permutation of its weights for each replicate."""
    replicates = len(next(iter(sources.masks.values())))
    rngs = [sources.rng(replicate) for replicate in range(replicates)]
    return {name: [rng.permutation(mask[0].size) for rng in rngs] for name, mask in sources.masks.items()}


def permuted(values: np.ndarray, orders: list[np.ndarray]) -> np.ndarray:
    """Return `values` (R, *shape) with the weights of each replicate in another order."""
    flat = values.reshape(len(values), -1)
    return np.stack([row[order] for row, order in zip(flat, orders, strict=True)]).reshape(values.shape)
