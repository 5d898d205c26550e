"""Modules cut down to some of their features."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from prunet.graph.folding import Folded


class Select(nn.Module):
    """Pass on some of the features of (N, n, ...), in their order."""

    indices: Tensor

    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self.register_buffer("indices", indices)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, n, ...) to (N, k, ...)."""
        return features.index_select(1, self.indices)


class Place(nn.Module):
    """Put maps at their places among constant ones.

    Args:
        given: (n,) bool: which of the maps are given.
        used: (n,) bool: which of these are passed on.
        constants: (n,) what the others are everywhere.
    """

    constants: Tensor
    order: Tensor

    def __init__(self, given: Tensor, used: Tensor, constants: Tensor) -> None:
        super().__init__()
        self.register_buffer("constants", constants[~used].view(1, -1, 1, 1))
        behind = given.sum() + (~used).cumsum(0)
        self.register_buffer("order", (torch.where(used, given.cumsum(0), behind) - 1).int())

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, k, H, W) to (N, n, H, W)."""
        # Not len(features), which would be a fixed number in an ONNX file.
        rest = self.constants.expand(features.shape[0], -1, *features.shape[2:])
        return torch.cat([features, rest], 1).index_select(1, self.order)


def cut_layer(
    module: nn.Linear | nn.Conv2d, folded: Folded, kept: Tensor, needed: Tensor, given: Tensor
) -> nn.Module:
    """Cut a layer down to some rows and to what they read, and have it select this where more is given.

    Args:
        module: the layer, which is changed.
        folded: its weights without constant inputs.
        kept: (out,) bool: the rows that stay.
        needed: (out,) bool: of these, the rows whose values matter; the others become zero.
        given: (in,) bool: the features that it is given, all that it reads among them.
    """
    inputs = folded.reads[needed].any(0)
    if not inputs.any():
        inputs[given.int().argmax()] = True  # idle: runtimes take no empty tensors
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
    """Cut a BatchNorm, its running statistics too, down to some features, (n,) bool."""
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    for name in ("running_mean", "running_var"):
        statistics = module.get_buffer(name)
        module.register_buffer(name, statistics[kept.to(statistics.device)])
    for name, values in list(module.named_parameters()):
        module.register_parameter(name, nn.Parameter(values[kept.to(values.device)]))
    module.num_features = int(kept.sum())
    return module


def cut_move(module: nn.Module, given: Tensor, used: Tensor, constants: Tensor, kept: Tensor) -> nn.Module:
    """Have a module that moves maps take those that are given, and give some of its own.

    Args:
        module: the module, which stays as it is.
        given: (n,) bool: the maps that it is given.
        used: (n,) bool: of these, the maps that are what they were before anything was removed.
        constants: (n,) what the others are, on the model's device.
        kept: (m,) bool: the maps that it is to give.
    """
    device = constants.device
    parts = OrderedDict(
        place=None if used.all() else Place(given.to(device), used.to(device), constants),
        move=module,
        select=None if kept.all() else _select(kept, device),
    )
    steps = OrderedDict((name, part) for name, part in parts.items() if part is not None)
    return module if len(steps) == 1 else nn.Sequential(steps)


def _select(kept: Tensor, device: torch.device) -> Select:
    return Select(kept.nonzero().flatten().int().to(device))
