"""Masks of whole units: everything that computes or reads a removed unit."""

from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunet.cells.masks import Masks
from prunet.structure.finding import Group, Slice, Units
from prunet.structure.program import operation
from prunet.structure.rules.table import ELEMENTWISE, SPATIAL
from prunet.structure.tensors import Constant

BETWEEN = {*ELEMENTWISE.split(), *SPATIAL.split(), "flatten"} - {
    "add",
    "add_",
    "mul",
    "mul_",
    "sub",
    "div",
    "maximum",
}
LAYERS = ("linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
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
    arrays = {name: mask.cpu().numpy() for name, mask in masks.items()}
    return [
        _unused(
            group,
            [part for part in group.slices if part.tensor.masked and part.tensor.value.ndim > 1],
            arrays,
        )
        for group in units.groups
    ]


def removed_rows(units: Units, masks: Masks) -> list[NDArray[np.bool_]]:
    """Return the units (units,) bool of each group that have no surviving weight in any of their rows.

    Args:
        units: from `find_units`.
        masks: {weight: (*shape)} of one network. A unit with a row in a weight that has no mask stays.
    """
    return [_unused(group, group.rows, masks) for group in units.groups]


def _unused(group: Group, slices: list[Slice], masks: Masks) -> NDArray[np.bool_]:
    """Return which units (units,) have no surviving weight in some slices of their group."""
    gone = np.ones(group.units, bool)
    for tensor, dim, numbers in slices:
        alive = numbers >= 0
        if tensor.name in masks:
            alive = alive & np.moveaxis(masks[tensor.name], dim, 0).reshape(len(numbers), -1).any(1)
        gone[numbers[alive]] = False
    return gone


def maskable(group: Group) -> bool:
    """Return whether the weights of a group are parameters, and not computed from them."""
    return all(tensor.name for tensor, _, _ in group.slices if tensor.masked)


def rows(group: Group) -> Rows:
    """Return the unit (out,) of each row of the weights that compute a group's units, -1 for other rows."""
    return {part.tensor.name: part.units for part in group.rows}


def norms(units: Units) -> dict[str, str]:
    """Return {weight: name of the batch norm behind its layer}; activations and pooling may lie between."""
    walk, found = units.walk, dict[str, str]()
    for node in walk.found:
        if operation(node) != "batch_norm":
            continue
        args: Any = node.args
        source, scale = args[0], walk.found.get(args[1])
        while operation(source) in BETWEEN:
            source = source.args[0]
        weight = walk.found.get(source.args[1]) if operation(source) in LAYERS else None
        if isinstance(scale, Constant) and isinstance(weight, Constant):
            found.setdefault(weight.name, scale.name.removesuffix(".weight"))
    return found


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


def coupled(units: Units, *, any_dimension: bool = False) -> tuple[dict[str, Rows], dict[str, str]]:
    """Return the layers whose rows share units, and the norm behind each layer.

    Args:
        units: from `find_units`.
        any_dimension: whether weights count whose rows do not lie along dimension 0, as those of transposed
            convolutions.

    Returns:
        groups: for each set of layers that share units, by the name of its first weight: {weight: (out,) unit
            of each row, 0 to n - 1, or -1 if it stays}. A weight may lack some of the units.
        norms: {weight: name of the norm behind its layer}.
    """
    numbers: dict[str, NDArray[np.int64]] = {}
    first = 0
    for group in units.groups:
        if maskable(group) and (any_dimension or all(part.dim == 0 for part in group.rows)):
            for name, own in rows(group).items():
                known = numbers.setdefault(name, np.full(len(own), -1))
                known[own >= 0] = own[own >= 0] + first
        first += group.units
    order = [name for name in units.parameters if name in numbers]
    sets: list[list[str]] = []
    for name in order:
        shared = [found for found in sets if any(_share(numbers[name], numbers[other]) for other in found)]
        sets = [found for found in sets if found not in shared] + [[*chain(*shared), name]]
    found = {}
    for names in sorted(sets, key=lambda names: order.index(names[0])):
        found[names[0]] = _renumbered({name: numbers[name] for name in sorted(names, key=order.index)})
    behind = norms(units)
    return found, {name: behind[name] for name in order if name in behind}


def dependents(units: Units, masks: Masks) -> Masks:
    """Return masks for the biases, and the norms' scales and shifts, that are removed with their units.

    Holding these at zero makes the output of a removed unit exactly zero, also behind a norm with scale and
    shift. A norm without them makes a constant of it, which the masks of `unread` keep from being read.

    Args:
        units: from `find_units`.
        masks: {weight: (R, *shape)} of some or all layers; a unit without a surviving weight in any of its
            rows is removed.

    Returns:
        {tensor: (R, *shape)} of all tensors that are not layers in `masks`, False where they go.
    """
    return _stacked(units, masks, lambda name: name not in masks)


def unread(units: Units, masks: Masks) -> Masks:
    """Return the masks without the weights that read removed units.

    With the masks of `dependents`, a network under them computes what the smaller network does, and their
    density is that of the smaller network. Arguments as of `dependents`.
    """
    readers = _stacked(units, masks, lambda name: name in masks)
    return {name: mask & readers[name] if name in readers else mask for name, mask in masks.items()}


def _stacked(units: Units, masks: Masks, chosen: Callable[[str], bool]) -> Masks:
    """Return the masks (R, *shape) of the chosen tensors that lose something with the removed units."""
    found: Masks = {}
    networks = len(next(iter(masks.values())))
    for replicate in range(networks):
        own = {name: mask[replicate] for name, mask in masks.items()}
        for name, mask in unit_masks(units, removed_rows(units, own)).items():
            if chosen(name):
                whole = found.setdefault(name, np.ones((networks, *mask.shape), bool))
                whole[replicate] = mask.cpu().numpy()
    return found


def _share(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    return bool(np.intersect1d(one[one >= 0], other[other >= 0]).size)


def _renumbered(layers: Rows) -> Rows:
    """Number the units of a group from 0, in the order of their first rows."""
    seen = dict.fromkeys(number for own in layers.values() for number in own.tolist() if number >= 0)
    numbers = {-1: -1} | {number: index for index, number in enumerate(seen)}
    return {name: np.array([numbers[number] for number in own.tolist()]) for name, own in layers.items()}
