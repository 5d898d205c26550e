"""Multiply-accumulates of a network."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.models.inputs import Shape
from prunet.shrinking.shrinking import check_masks

LAYERS = (nn.Linear, nn.Conv2d)


@torch.no_grad()
def operations(model: nn.Module, masks: dict[str, NDArray[np.bool_]], shape: Shape) -> dict[str, Any]:
    """Count the multiply-accumulates (MACs) of the linear and convolutional layers for one image.

    A weight counts once for each position of the layer's output, including positions where it meets padding.
    Biases, activations and pooling are not counted. FLOPs are twice the MACs.

    Args:
        model: the network.
        masks: (*shape) by weight name, True where a weight survives. A layer without a mask is dense.
        shape: (C, H, W) of an image.

    Returns:
        `macs_dense`, `macs_effective` (those of the surviving weights only) and `layers`, the same two for
        each layer by name.

    Raises:
        InputError: a mask does not fit a layer's weight.
    """
    model = copy.deepcopy(model).eval()
    layers = {name: module for name, module in model.named_modules() if isinstance(module, LAYERS)}
    check_masks(masks, layers)
    counts = {name: {"macs_dense": 0, "macs_effective": 0} for name in layers}

    def count(name: str, weight: Tensor, output: Tensor) -> None:
        positions = output.numel() // len(weight)
        mask = masks.get(f"{name}.weight")
        survivors = weight.numel() if mask is None else int(np.count_nonzero(mask))
        counts[name]["macs_dense"] += weight.numel() * positions
        counts[name]["macs_effective"] += survivors * positions

    for name, layer in layers.items():
        layer.register_forward_hook(lambda layer, _, output, name=name: count(name, layer.weight, output))
    model(next(model.parameters()).new_zeros(1, *shape))
    totals = {key: sum(layer[key] for layer in counts.values()) for key in ("macs_dense", "macs_effective")}
    return totals | {"layers": counts}
