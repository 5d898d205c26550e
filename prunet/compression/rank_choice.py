"""Choice of the ranks of layers in two parts: by energy, by share or by number."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.models import factors

Mask = NDArray[np.bool_]
Matrices = NDArray[np.float64]  # (N, groups, rows, columns)
Values = NDArray[np.float64]  # singular values (N, groups, full rank), in descending order


def by_energy(values: Values, amount: float) -> int:
    """Return the lowest rank that keeps this share of the squared singular values in every network."""
    kept = np.cumsum((values**2).sum(1), axis=1)
    return 1 + int(np.max((kept < amount * kept[:, -1:]).sum(1)))


def by_share(values: Values, amount: float) -> int:
    """Return this share of the full rank, rounded, at least 1."""
    return max(1, int(np.rint(amount * values.shape[-1])))


def by_number(values: Values, amount: float) -> int:
    """Return the number itself."""
    return int(amount)


# Each function returns a layer's rank from the singular values of N networks.
RULES: dict[str, Callable[[Values, float], int]] = {
    "energy": by_energy,
    "share": by_share,
    "number": by_number,
}


def choose(
    model: nn.Module, weights: Weights, masks: Masks, rule: str, amount: float, whole: Sequence[str] = ()
) -> tuple[dict[str, int], dict[str, str]]:
    """Choose the rank of every layer that gets smaller in two parts; N networks get the same ranks.

    Args:
        model: of the networks.
        weights: (N, *shape) of every tensor, zero where pruned.
        masks: (N, *shape) of every prunable layer. Surviving weights are counted before and after.
        rule: a key of `RULES`: `energy` (share of the squared singular values that every network keeps),
            `share` (of the full rank) or `number`.
        amount: of the rule: above 0, at most 1; a number may be as large as the largest rank of a layer.
        whole: layers that stay whole.

    Returns:
        {layer: rank}, and {layer or weight: reason} of those that stay whole.

    Raises:
        InputError: a layer to leave whole does not exist, or the number is larger than every layer's rank.
    """
    layers, reasons = factors.divisible(model)
    if unknown := set(whole) - set(layers):
        raise InputError(
            f"there is no layer {min(unknown)} to leave whole: choose among {', '.join(layers)}."
        )
    full = {name: factors.full_rank(model.get_submodule(name)) for name in layers}
    if rule == "number" and full and amount > max(full.values()):
        largest = max(full, key=lambda name: full[name])
        raise InputError(
            f"rank {amount} is larger than every layer: give at most {full[largest]}, the rank of {largest}."
        )
    ranks = {}
    for name in layers:
        if name in whole:
            reasons[name] = "it was to stay whole"
            continue
        layer, weight, mask = model.get_submodule(name), weights[f"{name}.weight"], masks[f"{name}.weight"]
        rank = RULES[rule](_singular_values(layer, weight), amount)
        if rank > full[name]:
            reasons[name] = f"its full rank is {full[name]}"
        elif sum(map(np.count_nonzero, part_masks(layer, mask, rank))) >= np.count_nonzero(mask):
            reasons[name] = f"with rank {rank} it would not get smaller"
        else:
            ranks[name] = rank
    return ranks, reasons


def _singular_values(layer: nn.Module, weight: NDArray[Any]) -> Values:
    return np.linalg.svd(matrices(layer, weight), compute_uv=False).astype(np.float64)


def matrices(layer: nn.Module, weight: NDArray[Any]) -> Matrices:
    """Return the weights (N, out, in, *k) of N networks' layer as matrices."""
    return weight.astype(np.float64).reshape(-1, *factors.matrix_shape(layer))


def part_masks(layer: nn.Module, mask: Mask, rank: int) -> tuple[Mask, Mask]:
    """Return the masks of a layer's two parts, in which only empty columns and rows are pruned.

    Args:
        layer: the whole one.
        mask: (N, out, in, *k) of the whole layer.
        rank: of the parts.

    Returns:
        (N, groups x rank, in, *k), False where no output of the group reads this input (and position of the
        filter), and (N, out, rank, *1), False where the output reads nothing.
    """
    groups, outputs, _ = factors.matrix_shape(layer)
    whole = mask.reshape(len(mask), groups, outputs, -1)
    columns, rows = whole.any(2, keepdims=True), whole.any(3, keepdims=True)
    first = np.repeat(columns, rank, 2).reshape(len(mask), -1, *mask.shape[2:])
    second = np.repeat(rows, rank, 3).reshape(*mask.shape[:2], rank, *[1] * (mask.ndim - 3))
    return first, second
