"""Smaller network of a ticket, of any kind."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.shrinking import shrinking as folding
from prunet.shrinking.trace import UnsupportedError
from prunet.structure.shrinking import shrink


def smaller(model: nn.Module, masks: dict[str, NDArray[np.bool_]], images: Tensor) -> nn.Module:
    """Return a smaller network with the outputs of the masked one.

    Networks of the operations that `prunet.shrinking` supports also lose what single pruned weights leave
    constant; all others lose the units without any weight.

    Args:
        model: with its weights, zero where pruned; in evaluation mode.
        masks: (*shape) by weight name, True where a weight survives.
        images: (N, C, H, W), an example of its inputs.

    Raises:
        InputError: the masks belong to another model, or it cannot be exported.
    """
    try:
        return folding.shrink(model, masks)
    except UnsupportedError:
        return shrink(model, images, {name: torch.from_numpy(mask) for name, mask in masks.items()})
