"""Low rank: layers as products of two, by the singular values of their weights.

The closest matrix of rank r keeps the r largest singular values; its squared distance is the sum of the
squares of the others (Eckart & Young 1936).
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.base.errors import InputError, cause
from prunet.cells.masks import Masks, Weights
from prunet.compression.rank_choice import matrices, part_masks
from prunet.models import factors
from prunet.models.state import load_state, state
from prunet.structure.proof import EXACT, difference


class Factored(NamedTuple):
    """N networks of one architecture with some layers in two parts.

    Attributes:
        model: on the CPU, with the tensors of the first network.
        weights: (N, *shape) of every tensor, in the network's order.
        masks: (N, *shape) of every prunable layer; those of the parts are from `rank_choice.part_masks`.
    """

    model: nn.Module
    weights: Weights
    masks: Masks


def factor(
    model: nn.Module, weights: Weights, masks: Masks, ranks: Mapping[str, int], images: Tensor
) -> Factored:
    """Divide layers of N networks into the two parts whose product is closest to their weights.

    Before they are returned, the outputs of the first network are compared in float64 with those of the
    original one with the products as its weights.

    Args:
        model: of the networks; it is not changed.
        weights: (N, *shape) of every tensor, zero where pruned.
        masks: (N, *shape) of every prunable layer.
        ranks: {layer: rank}.
        images: (B, C, H, W), prepared, for the comparison.

    Raises:
        InputError: as of `factors.divide`, or the outputs differ because the network's code does more with a
            layer than call it.
    """
    found, products = _divided(model, weights, masks, ranks)
    if reason := _fault(model, found, products, images):
        single = {name: _divided(model, weights, masks, {name: rank}) for name, rank in ranks.items()}
        alone = [name for name, divided in single.items() if _fault(model, *divided, images)]
        raise InputError(
            f"the network computes something else with {', '.join(alone or ranks)} in two parts ({reason}): "
            "leave these layers whole."
        )
    return found


def product(first: NDArray[Any], second: NDArray[Any]) -> NDArray[np.float64]:
    """Return the weight (N, out, in, *k) of the layer that computes what two parts do.

    Args:
        first: (N, groups x rank, in, *k).
        second: (N, out, rank, *1).
    """
    count, outputs, rank = second.shape[:3]
    groups = first.shape[1] // rank
    left = second.reshape(count, groups, outputs // groups, rank).astype(np.float64)
    right = first.reshape(count, groups, rank, -1).astype(np.float64)
    return (left @ right).reshape(count, outputs, *first.shape[2:])


def _divided(
    model: nn.Module, weights: Weights, masks: Masks, ranks: Mapping[str, int]
) -> tuple[Factored, dict[str, Any]]:
    """Return the networks in parts, and the tensors of the first one with products as its weights."""
    divided = copy.deepcopy(model).cpu()
    factors.divide(divided, ranks)
    tensors, masked = dict(weights), dict(masks)
    products: dict[str, Any] = {name: values[0] for name, values in weights.items()}
    for name, rank in ranks.items():
        layer, weight = model.get_submodule(name), f"{name}.weight"
        own = part_masks(layer, masks[weight], rank)
        parts = [part * mask for part, mask in zip(_parts(layer, weights[weight], rank), own, strict=True)]
        products[weight] = product(parts[0][:1], parts[1][:1])[0]
        for number in (0, 1):
            tensors[f"{name}.{number}.weight"], masked[f"{name}.{number}.weight"] = parts[number], own[number]
        for other in [key for key in weights if key.startswith(f"{name}.") and key != weight]:
            number = int(other == f"{name}.bias")
            tensors[f"{name}.{number}{other.removeprefix(name)}"] = weights[other]
    order = list(state(divided))
    tensors = {key: tensors[key] for key in order}
    masked = {key: masked[key] for key in order if key in masked}
    load_state(divided, {key: values[0] for key, values in tensors.items()})
    return Factored(divided, tensors, masked), products


def _parts(layer: nn.Module, weight: NDArray[Any], rank: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the two parts of a weight (N, out, in, *k); each gets the root of the singular values."""
    left, values, right = np.linalg.svd(matrices(layer, weight), full_matrices=False)
    root = np.sqrt(values[..., :rank])
    first, second = root[..., None] * right[..., :rank, :], left[..., :rank] * root[..., None, :]
    return (
        first.reshape(len(weight), -1, *weight.shape[2:]).astype(weight.dtype),
        second.reshape(*weight.shape[:2], rank, *[1] * (weight.ndim - 3)).astype(weight.dtype),
    )


def _fault(model: nn.Module, found: Factored, products: Mapping[str, Any], images: Tensor) -> str | None:
    """Return why a network in parts does not compute what the products do, or None if it does."""
    whole = copy.deepcopy(model).cpu().double()
    load_state(whole, products)
    try:
        worst = difference(whole, found.model, [images])
    except Exception as error:  # of code that is not ours
        return cause(error)
    return None if worst <= EXACT else f"relative difference {worst:.2g}"
