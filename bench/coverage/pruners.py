"""The libraries under test: each removes half of the units of every group, at random."""

import copy
import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.coverage.networks import Inputs
from prunet.structure.cutting import cut
from prunet.structure.finding import Units, find_units

Pair = tuple[nn.Module, nn.Module]  # the masked and the smaller network


def with_prunet(model: nn.Module, example: Inputs) -> Pair:
    """Return the model with half of its units masked, and the program without them.

    The masks are on the parameters of the model itself. If some are on tensors that it computes from its
    parameters, such as normalised weights, its masked program takes its place.
    """
    units = find_units(model, example)
    rng = np.random.default_rng(0)
    gone = [rng.permutation(group.units) < group.units // 2 for group in units.groups]
    masked, smaller = cut(units, gone)
    return mask(model, units, gone) or masked, smaller


def mask(model: nn.Module, units: Units, gone: list[Any]) -> nn.Module | None:
    """Return a copy of the model with removed units set to zero, or None if a mask is not on a parameter."""
    masked = copy.deepcopy(model)
    tensors = dict(masked.named_parameters(remove_duplicate=False))
    for group, own in zip(units.groups, gone, strict=True):
        for part in group.slices:
            if not part.tensor.masked:
                continue
            if part.tensor.name not in tensors:
                return None
            rows = torch.from_numpy(np.append(own, False)[part.units]).nonzero().flatten()
            tensors[part.tensor.name].data.index_fill_(part.dim, rows, 0)
    return masked


def with_torch_pruning(model: nn.Module, example: Inputs) -> Pair:
    """Return the same of Torch-Pruning's `BasePruner` with its default settings; output layers are left out.

    While it prunes, every parameter and statistic holds the numbers of its elements instead of its values:
    those that remain tell which elements were removed.
    """
    library = importlib.import_module("torch_pruning")
    smaller, masked = copy.deepcopy(model), copy.deepcopy(model)
    pruner = library.pruner.BasePruner(
        smaller,
        example,
        importance=library.importance.RandomImportance(),
        pruning_ratio=0.5,
        ignored_layers=output_layers(smaller, example),
    )
    values = dict(_tensors(masked))
    for _, tensor in _tensors(smaller):
        integers = torch.int64 if tensor.dtype == torch.float64 else torch.int32
        tensor.data = torch.arange(tensor.numel(), dtype=integers).view(tensor.shape).view(tensor.dtype)
    pruner.step()
    survive = {name: torch.zeros(value.numel(), dtype=torch.bool) for name, value in values.items()}
    for name, tensor in _tensors(smaller):
        numbers = tensor.data.view(torch.int64 if tensor.dtype == torch.float64 else torch.int32).long()
        survive[name][numbers.flatten()] = True
        tensor.data = values[name].data.flatten()[numbers]
    for name, parameter in masked.named_parameters(remove_duplicate=False):
        parameter.data.mul_(survive[name].view(parameter.shape))
    return masked, smaller


def _tensors(model: nn.Module) -> list[tuple[str, Tensor]]:
    """List parameters, shared ones under each name, and statistics."""
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return [(name, tensor) for name, tensor in tensors if tensor.is_floating_point()]


def output_layers(model: nn.Module, example: Inputs) -> list[nn.Module]:
    """List the layers that may compute an output, as they have its number of channels."""
    with torch.no_grad():
        outputs = leaves(model(*example))
    channels = {value.shape[1] for value in outputs if value.ndim > 1}
    features = {value.shape[-1] for value in outputs if value.ndim > 1}
    return [
        layer
        for layer in model.modules()
        if (isinstance(layer, nn.Linear) and layer.out_features in features)
        or (isinstance(layer, nn.modules.conv._ConvNd) and layer.out_channels in channels)
    ]


def leaves(outputs: Any) -> list[Tensor]:
    """List the tensors of an output: itself, or those in its tuples, lists and dictionaries."""
    if isinstance(outputs, Tensor):
        return [outputs]
    parts = outputs.values() if isinstance(outputs, dict) else outputs
    return [tensor for part in parts for tensor in leaves(part)]


PRUNERS = {"prunet": with_prunet, "Torch-Pruning": with_torch_pruning}
