"""Layers, norms and shortcuts cut down to some of their features."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from prunet.shrinking.folding import Folded


class Select(nn.Module):
    """Select some of the features of (N, n, ...), in their order."""

    indices: Tensor

    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self.register_buffer("indices", indices)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, n, ...) to (N, k, ...)."""
        return features.index_select(1, self.indices)


class Interleave(nn.Module):
    """Insert constant maps between the maps of the input.

    Args:
        given: (n,) bool: maps that the input holds.
        used: (n,) bool: maps of the input that the output keeps.
        constants: (n,) values of the output's other maps.
    """

    constants: Tensor
    order: Tensor

    def __init__(self, given: Tensor, used: Tensor, constants: Tensor) -> None:
        super().__init__()
        self.register_buffer("constants", constants[~used].view(1, -1, 1, 1))
        appended = given.sum() + (~used).cumsum(0)
        self.register_buffer("order", (torch.where(used, given.cumsum(0), appended) - 1).int())

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, k, H, W) to (N, n, H, W)."""
        # Not len(features), which the ONNX exporter would turn into a fixed number.
        rest = self.constants.expand(features.shape[0], -1, *features.shape[2:])
        return torch.cat([features, rest], 1).index_select(1, self.order)


def cut_layer(
    module: nn.Linear | nn.Conv2d, folded: Folded, kept: Tensor, needed: Tensor, given: Tensor
) -> nn.Module:
    """Cut a layer down to some rows and to the features that they read.

    Args:
        module: the layer; it is changed in place.
        folded: its weights without constant inputs.
        kept: (out,) bool: rows to keep.
        needed: (out,) bool: kept rows whose values matter; the other kept rows become zero.
        given: (in,) bool: features of the layer's input, among them all that it reads.

    Returns:
        The layer, after a `Select` if its input has features that it does not read.
    """
    inputs = folded.reads[needed].any(0)
    if not inputs.any():
        inputs[given.int().argmax()] = True  # unused, but runtimes reject empty tensors
    weight = folded.weight.clone()
    weight[~needed] = 0
    weight, bias = weight[kept][:, inputs], folded.bias.where(needed, 0)[kept]
    if module.bias is not None or bias.any():
        module.bias = nn.Parameter(bias.to(module.weight))
    module.weight = nn.Parameter(weight.to(module.weight))
    if isinstance(module, nn.Linear):
        module.out_features, module.in_features = weight.shape
    else:
        module.out_channels, module.in_channels = weight.shape[:2]
    if inputs.equal(given):
        return module
    return nn.Sequential(OrderedDict(select=_select(inputs[given], module.weight.device), layer=module))


def cut_norm(module: nn.Module, kept: Tensor) -> nn.Module:
    """Cut a BatchNorm and its running statistics down to the features `kept`, (n,) bool."""
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    for name in ("running_mean", "running_var"):
        statistics = module.get_buffer(name)
        module.register_buffer(name, statistics[kept.to(statistics.device)])
    for name, values in list(module.named_parameters()):
        module.register_parameter(name, nn.Parameter(values[kept.to(values.device)]))
    module.num_features = int(kept.sum())
    return module


def cut_move(module: nn.Module, given: Tensor, used: Tensor, constants: Tensor, kept: Tensor) -> nn.Module:
    """Wrap a module that moves maps: complete its input with constants and select from its output.

    Args:
        module: the module; it is not changed.
        given: (n,) bool: maps that the input holds.
        used: (n,) bool: maps of the input that have the values they had before anything was removed.
        constants: (n,) values of the other maps, on the model's device.
        kept: (m,) bool: maps to keep of the output.
    """
    device = constants.device
    parts = OrderedDict(
        interleave=None if used.all() else Interleave(given.to(device), used.to(device), constants),
        move=module,
        select=None if kept.all() else _select(kept, device),
    )
    steps = OrderedDict((name, part) for name, part in parts.items() if part is not None)
    return module if len(steps) == 1 else nn.Sequential(steps)


def _select(kept: Tensor, device: torch.device) -> Select:
    return Select(kept.nonzero().flatten().int().to(device))
