"""Multiply-accumulates of a network."""

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from prunet.base.errors import InputError
from prunet.models.built_in import PLAIN
from prunet.models.inputs import Shape

LAYERS = (nn.Linear, nn.Conv2d)  # whose sparse forms are known


@torch.no_grad()
def operations(model: nn.Module, masks: dict[str, NDArray[np.bool_]], shape: Shape) -> dict[str, Any]:
    """Count the multiply-accumulates (MACs) of a network for one image.

    A weight counts once for each position of the layer's output, including positions where it meets padding,
    and so do the products of attention. Biases, activations and pooling are not counted. FLOPs are twice the
    MACs.

    Args:
        model: the network.
        masks: (*shape) by weight name, True where a weight survives. A layer without a mask is dense.
        shape: (C, H, W) of an image.

    Returns:
        `macs_dense`, `macs_effective` (without those of the pruned weights of linear layers and convolutions)
        and `layers`, the same two for each of these layers by name.

    Raises:
        InputError: a mask does not fit a weight.
    """
    for name, mask in masks.items():
        if name not in (own := dict(model.named_parameters())) or own[name].shape != mask.shape:
            raise InputError(f"mask {name} {mask.shape} fits no layer; use the masks of this model.")
    model = copy.deepcopy(model).eval()
    layers = {name: module for name, module in model.named_modules() if isinstance(module, PLAIN)}
    counts = {name: {"macs_dense": 0, "macs_effective": 0} for name in layers}

    def count(name: str, layer: nn.Module, given: Tensor, output: Tensor) -> None:
        transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
        weight = layer.get_parameter("weight")
        # Every filter meets each position once: of the output, or of the input of a transposed convolution.
        positions = (given if transposed else output).numel() // len(weight)
        mask = masks.get(f"{name}.weight")
        survivors = weight.numel() if mask is None else int(np.count_nonzero(mask))
        counts[name]["macs_dense"] += weight.numel() * positions
        counts[name]["macs_effective"] += survivors * positions

    for name, module in layers.items():
        module.register_forward_hook(lambda own, given, output, name=name: count(name, own, given[0], output))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # it runs a whole layer of a transformer uncounted
    with FlopCounterMode(display=False) as counter:
        model(next(model.parameters()).new_zeros(1, *shape))
    torch.backends.mha.set_fastpath_enabled(fast)
    dense = counter.get_total_flops() // 2
    pruned = sum(layer["macs_dense"] - layer["macs_effective"] for layer in counts.values())
    return {"macs_dense": dense, "macs_effective": dense - pruned, "layers": counts}
