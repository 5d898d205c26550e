"""Layers in two parts: a linear layer or convolution as the product of two smaller ones."""

import copy
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.models.built_in import prunable
from prunet.models.state import first_names

LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
POINTWISE = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}  # by the dimensions of a weight


def divisible(model: nn.Module) -> tuple[list[str], dict[str, str]]:
    """Return the layers that `divide` takes, and the reason for every other prunable weight.

    Layers that compute their weight from other tensors (weight norm, parametrisations) have no prunable
    weight and are in neither.

    Returns:
        Names of layers, and {weight: reason}.
    """
    names = list(first_names(model).values())
    layers, reasons = [], {}
    for weight in prunable(model):
        name = weight.rpartition(".")[0]
        if not name or not isinstance(model.get_submodule(name), LAYERS):
            reasons[weight] = "only linear layers and convolutions inside a network have two parts"
        elif isinstance(model.get_submodule(name.rpartition(".")[0]), nn.MultiheadAttention):
            reasons[weight] = "attention reads this weight without its layer"
        elif names.count(weight) > 1:
            reasons[weight] = "other layers share this weight"
        else:
            layers.append(name)
    return layers, reasons


def matrix_shape(layer: nn.Module) -> tuple[int, int, int]:
    """Return (groups, rows, columns) of a layer's weight as a matrix for each group.

    A row holds the weights of one output. A linear layer has one group.
    """
    weight, groups = layer.get_parameter("weight"), getattr(layer, "groups", 1)
    return groups, len(weight) // groups, weight[0].numel()


def full_rank(layer: nn.Module) -> int:
    """Return the largest rank that the weight of a layer can have."""
    return min(matrix_shape(layer)[1:])


def divide(model: nn.Module, ranks: Mapping[str, int]) -> None:
    """Replace layers of a model by two layers each, with values that PyTorch draws.

    A linear layer becomes one to `rank` features, without bias, and one from there to its outputs. A
    convolution becomes one of the same kind with `rank` filters for each group, and a 1x1 convolution with
    the same number of groups (Zhang et al. 2016, "Accelerating very deep convolutional networks", section 3).

    Args:
        model: it is changed: the layer `fc1` becomes the layers `fc1.0` and `fc1.1`.
        ranks: {layer: rank}, from 1 to the layer's full rank.

    Raises:
        InputError: a layer is missing or cannot be divided, or a rank is larger than its layer.
    """
    layers, reasons = divisible(model)
    for name, rank in ranks.items():
        if name not in layers:
            reason = reasons.get(f"{name}.weight", "there is no layer of this name with a weight of its own")
            raise InputError(f"{name} cannot be two layers ({reason}): choose among {', '.join(layers)}.")
        full = full_rank(model.get_submodule(name))
        if not 1 <= rank <= full:
            raise InputError(f"rank {rank} does not fit {name}, whose full rank is {full}: give 1 to {full}.")
    for name, rank in ranks.items():
        model.set_submodule(name, nn.Sequential(*_parts(model.get_submodule(name), rank)))


def _parts(layer: nn.Module, rank: int) -> tuple[nn.Module, nn.Module]:
    groups, rows, _ = matrix_shape(layer)
    weight: Tensor = layer.get_parameter("weight")
    bias, outputs = layer.bias is not None, groups * rows
    first: Any = copy.deepcopy(layer)  # of the same class: it may pad in its own way
    first.weight = nn.Parameter(weight.new_empty(groups * rank, *weight.shape[1:]))
    first.bias = None
    second: nn.Module
    if isinstance(layer, nn.Linear):
        first.out_features = rank
        second = nn.Linear(rank, outputs, bias)
    else:
        first.out_channels = groups * rank
        second = POINTWISE[weight.ndim](groups * rank, outputs, 1, groups=groups, bias=bias)
    first.reset_parameters()
    return first, second.to(weight)
