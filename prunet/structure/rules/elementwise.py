"""Operations that combine elements at the same place, after broadcasting."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, varies, varying
from prunet.structure.tensors import Activation, Constant


def elementwise(labels: Labels, node: fx.Node, **given: Any) -> Activation:
    """Join the labels of all operands.

    An operand that is spread over the units of another reaches all of them, so its own units stay. A constant
    takes the labels of the dimension along which the activations have several units.
    """
    operands = [value for value in given.values() if isinstance(value, Activation | Constant)]
    shape = np.broadcast_shapes(*(_shape(operand) for operand in operands))
    activations = [operand.labels for operand in operands if isinstance(operand, Activation)]
    aligned = [align(own, len(shape)) for own in activations]
    several = [dim for dim in range(len(shape)) if any(varies(own, dim) for own in aligned)]
    result: Tensor | None = None
    for own in aligned:
        if any(own.shape[dim] == 1 < shape[dim] for dim in several):
            labels.keep(own, f"{node.name} spreads it over other units")
            continue
        if result is None:
            result = own.expand(shape)
        else:
            labels.join(result, own)
    if result is None:
        result = torch.full((1,) * len(shape), KEPT).expand(shape)
    for operand in operands:
        if isinstance(operand, Constant):
            join_constant(labels, result, operand)
    return Activation(result)


def join_constant(labels: Labels, units: Tensor, operand: Constant) -> None:
    """Give a constant that broadcasts with an activation the labels of its units (shape of the result)."""
    several = varying(units)
    offset = units.ndim - operand.value.ndim
    for dim, own in enumerate(operand.dims):
        if len(own) > 1 and several == [dim + offset]:
            line = units
            for other in range(units.ndim):
                if other != dim + offset:
                    line = line.narrow(other, 0, 1)
            labels.join(own, line.flatten())
        else:
            labels.keep(own)
    if len([dim for dim in several if dim >= offset and len(operand.dims[dim - offset]) > 1]) > 1:
        labels.keep(units, "a constant has an own value for it at each position")


def as_activation(labels: Labels, operand: Constant, units: Tensor | None) -> Activation:
    """Return the labels of a constant that is used like an activation.

    Args:
        labels: of the program.
        operand: the constant.
        units: labels of an activation with as many dimensions, whose units those of the constant are.
    """
    several = [] if units is None else varying(units)
    for dim, own in enumerate(operand.dims):
        if several != [dim]:
            labels.keep(own)
    shape = operand.value.shape
    if len(several) != 1:
        return Activation(torch.full((1,) * len(shape), KEPT).expand(shape))
    view = [-1 if dim == several[0] else 1 for dim in range(len(shape))]
    return Activation(operand.dims[several[0]].view(view).expand(shape))


def glu(labels: Labels, node: fx.Node, self: Activation, dim: int = -1) -> Activation:
    """Multiply the first half of a dimension by the sigmoid of the second: unit i is in both halves."""
    first, second = self.labels.chunk(2, dim)
    labels.join(first, second)
    return Activation(first)


def prelu(labels: Labels, node: fx.Node, self: Activation, weight: Constant) -> Activation:
    """Give the slopes the labels of the units in dimension 1; one slope for all has none."""
    if len(weight.dims[0]) > 1:
        units = labels.tie(self.labels, [dim for dim in range(self.labels.ndim) if dim != 1])
        labels.join(weight.dims[0], units.flatten())
    return self


def align(own: Tensor, ndim: int) -> Tensor:
    """Return labels with leading dimensions of size 1, as broadcasting adds them."""
    return own.reshape((1,) * (ndim - own.ndim) + tuple(own.shape))


def _shape(operand: Activation | Constant) -> torch.Size:
    return operand.labels.shape if isinstance(operand, Activation) else operand.value.shape
