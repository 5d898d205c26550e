"""The libraries under test: each removes half of the units of every group, at random."""

import copy
import importlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.coverage.networks import Inputs
from prunet.library import apply_masks
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units, nothing_to_remove
from prunet.structure.masks import maskable, unit_masks
from prunet.structure.slicing import slice_model

Pruned = tuple[nn.Module, dict[str, nn.Module]]  # the masked network, and forms of the smaller one


def with_prunet(model: nn.Module, example: Inputs) -> Pruned:
    """Return the model with half of its units masked, and without them in its own class and as a program.

    If some masks are on tensors that the model computes from its parameters, such as normalised weights, its
    masked program takes its place, and there is no smaller one of its own class.

    Raises:
        InputError: the model cannot be exported, or none of its units can be removed.
    """
    units = find_units(model, example)
    if not units.groups:
        raise nothing_to_remove(units)
    rng = np.random.default_rng(0)
    gone = [rng.permutation(group.units) < group.units // 2 for group in units.groups]
    program_masked, program = cut(units, gone)
    if not all(maskable(group) for group in units.groups):
        return program_masked, {"program": program}
    masked = copy.deepcopy(model)
    apply_masks(masked, unit_masks(units, gone))
    return masked, {"own class": slice_model(masked, units, units.alive(gone)), "program": program}


def with_torch_pruning(model: nn.Module, example: Inputs) -> Pruned:
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
    return masked, {"own class": smaller}


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
