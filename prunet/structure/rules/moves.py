"""Operations that move elements: they are applied to the labels themselves."""

from typing import Any

import torch
from torch import Tensor, fx
from torch.nn import functional

from prunet.structure.labels import Labels, along, spread, varies, varying
from prunet.structure.program import operation
from prunet.structure.rules.elementwise import as_activation, join_constant
from prunet.structure.tensors import Activation, Constant

aten = torch.ops.aten


def move(labels: Labels, node: fx.Node, self: Any, **given: Any) -> Activation | list[Activation] | None:
    """Move the labels as the operation moves the elements."""
    if not isinstance(self, Activation):
        return None
    others = {name: value.labels if isinstance(value, Activation) else value for name, value in given.items()}
    result = node.target(self.labels, **others)  # type: ignore[operator]
    if isinstance(result, Tensor):
        return Activation(spread(result), self.zero)
    return [Activation(spread(part), self.zero) for part in result]


def view(labels: Labels, node: fx.Node, self: Activation, size: list[int], **_: Any) -> Activation:
    """Reshape the labels, which lie in memory in another way than the elements."""
    return Activation(spread(self.labels.reshape(size)), self.zero)


def cat(labels: Labels, node: fx.Node, tensors: list[Any], dim: int = 0) -> Activation:
    """Join tensors, with constants among them, along a dimension, or along a new one.

    Where their units lie along another dimension, they are the same ones in all tensors.
    """
    units = next(part.labels for part in tensors if isinstance(part, Activation))
    parts = [as_activation(labels, part, units) if isinstance(part, Constant) else part for part in tensors]
    rows = [part.labels for part in parts]
    if operation(node) != "stack":
        apart = any(varies(own, dim) for own in rows)
        rows = [] if apart else [own.narrow(dim, 0, 1) for own in rows if own.numel()]
    if any(varying(own) for own in rows):
        for own in rows[1:]:
            labels.join(rows[0], own)
    result = node.target([part.labels for part in parts], dim)  # type: ignore[operator]
    return Activation(spread(result), all(part.zero for part in parts))


def index(labels: Labels, node: fx.Node, self: Any, **given: Any) -> Activation:
    """Pick positions along some dimensions.

    Where the inputs say which ones, units along these dimensions go together. The units of a constant lie
    along its last dimension.
    """
    if isinstance(self, Constant):
        for own in self.dims[:-1]:
            labels.keep(own)
        self = Activation(along(self.dims[-1], -1, self.value.ndim).expand(self.value.shape))
    found = self.labels
    if "dim" in given:  # of `index_select`
        indices = [None] * (given["dim"] % found.ndim) + [given["index"]]
    else:
        indices = list(given["indices"])
    for dim, picked in enumerate(indices):
        if isinstance(picked, Activation):
            labels.keep(picked.labels)
            found = labels.tie(found, [dim]).expand(self.labels.shape)
            indices[dim] = torch.zeros(picked.labels.shape, dtype=torch.long)
        elif isinstance(picked, Constant):
            indices[dim] = picked.value
    return Activation(spread(aten.index.Tensor(found, indices)), self.zero)


def expand_as(labels: Labels, node: fx.Node, self: Any, other: Activation) -> Activation:
    """Repeat a tensor, or a constant with a value for each unit, up to the shape of another."""
    if isinstance(self, Activation):
        return Activation(self.labels.expand(other.labels.shape), self.zero)
    join_constant(labels, other.labels, self)
    return Activation(other.labels)


def channel_shuffle(labels: Labels, node: fx.Node, self: Activation, groups: int) -> Activation:
    """Mix groups of maps, of which map i of every group is one unit."""
    units = labels.tie(self.labels, [dim for dim in range(self.labels.ndim) if dim != 1])
    labels.tie(units.view(groups, -1), [0])
    return Activation(node.target(units, groups), self.zero)  # type: ignore[operator]


def pad(labels: Labels, node: fx.Node, self: Activation, pad: list[int], **_: Any) -> Activation:
    """Add elements at the sides of the last dimensions.

    Padding a dimension that the units lie along adds units of their own, as a shortcut that pads its maps
    with zeros does. Along other dimensions the added elements belong to the units there.
    """
    own = self.labels
    for number in range(len(pad) // 2):
        dim, sides = own.ndim - 1 - number, pad[2 * number : 2 * number + 2]
        if not any(sides):
            continue
        several, first = varies(own, dim), own.narrow(dim, 0, 1)
        widths = [0, 0] * number + list(sides)
        own = functional.pad(own, widths, value=-1)
        new = (own == -1).narrow(dim, 0, own.shape[dim])
        if several:
            count = own.shape[dim]
            own = torch.where(new, along(labels.fresh(count), dim, own.ndim), own)
        else:
            own = torch.where(new, first, own)
    return Activation(spread(own))
