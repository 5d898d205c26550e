"""Weights and masks of R networks as dicts of arrays (R, *shape) by tensor name, in the network's order.

A mask is a bool array, True where the weight survives; the last layer of a dict of masks is the output layer.
"""

import numpy as np
from numpy.typing import NDArray

Weights = dict[str, NDArray[np.float32]]
Masks = dict[str, NDArray[np.bool_]]


def density(masks: Masks) -> float:
    """Return the share of the weights that survive, 0 to 1, over all layers and replicates."""
    return float(sum(int(mask.sum()) for mask in masks.values()) / sum(mask.size for mask in masks.values()))
