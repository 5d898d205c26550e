"""Masks of whole units: everything that computes or reads a removed unit."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunet.structure.finding import Group, Units
from prunet.structure.tensors import Constant

Rows = dict[str, NDArray[np.int64]]


def unit_masks(units: Units, gone: list[NDArray[np.bool_]]) -> dict[str, Tensor]:
    """Return the masks of all parameters that lose something with the removed units, bool (*shape).

    False are the weights that compute a removed unit, its bias, the scale and shift of its norm, and the
    weights that read it. Without the last, a norm or a sigmoid behind the unit would turn its zeros into
    another constant, which the next layer would read.

    Args:
        units: from `find_units`.
        gone: (units,) bool for each group, True for the units to remove.
    """
    masks: dict[str, Tensor] = {}
    for tensor, slices in _by_tensor(units, gone).items():
        mask = torch.ones(tensor.value.shape, dtype=torch.bool, device=tensor.value.device)
        for dim, removed in slices:
            mask.index_fill_(dim, torch.from_numpy(removed).to(mask.device), False)
        masks[tensor.name] = mask
    return masks


def removed_units(units: Units, masks: Mapping[str, Tensor]) -> list[NDArray[np.bool_]]:
    """Return the units (units,) bool of each group that masks remove: no weight reads or computes them.

    Args:
        units: from `find_units`.
        masks: bool (*shape) by parameter; those without a mask survive.
    """
    gone = []
    for group in units.groups:
        alive = np.zeros(group.units, bool)
        for tensor, dim, numbers in group.slices:
            if not (tensor.masked and tensor.value.ndim > 1):
                continue
            used = np.ones(len(numbers), bool)
            if tensor.name in masks:
                used = masks[tensor.name].movedim(dim, 0).reshape(len(numbers), -1).any(1).cpu().numpy()
            alive[numbers[used & (numbers >= 0)]] = True
        gone.append(~alive)
    return gone


def maskable(group: Group) -> bool:
    """Return whether the weights of a group are parameters, and not computed from them."""
    return all(tensor.name for tensor, _, _ in group.slices if tensor.masked)


def rows(group: Group) -> Rows:
    """Return the unit (out,) of each row of the weights that compute a group's units, -1 for other rows."""
    return {part.tensor.name: part.units for part in group.rows}


def norms(group: Group) -> dict[str, str]:
    """Return the name of the norm behind each weight whose rows are a group's units, where there is one."""
    scales = [(part.tensor.name, part.units) for part in group.slices if part.tensor.scale]
    return {
        part.tensor.name: name.removesuffix(".weight")
        for part in group.rows
        for name, numbers in scales[::-1]
        if np.array_equal(numbers, part.units)
    }


def _by_tensor(
    units: Units, gone: list[NDArray[np.bool_]]
) -> dict[Constant, list[tuple[int, NDArray[np.int64]]]]:
    """Return the removed indices along each dimension of every named, masked tensor."""
    found: dict[Constant, list[tuple[int, NDArray[np.int64]]]] = {}
    for group, own in zip(units.groups, gone, strict=True):
        for tensor, dim, numbers in group.slices:
            removed = np.flatnonzero((numbers >= 0) & own[numbers])
            if tensor.masked and tensor.name and len(removed):
                found.setdefault(tensor, []).append((dim, removed))
    return found
