"""Operations that combine elements at the same place, after broadcasting."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, along, varies, varying
from prunet.structure.program import operation
from prunet.structure.tensors import Activation, Constant

ZERO_AT_ZERO = (
    "relu relu6 gelu silu hardswish tanh elu selu celu leaky_relu mish hardshrink softshrink neg abs sqrt "
    "square sin erf sign round floor dropout feature_dropout alpha_dropout clone contiguous to _to_copy "
    "alias detach type_as lift_fresh_copy"
)


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
    return Activation(result, _zero(operation(node), given, shape))


def _zero(name: str, given: dict[str, Any], shape: Sequence[int]) -> bool:
    """Return whether an operation gives zero at zero; an operand spread over units does not count."""
    first, second = (
        isinstance(part, Activation) and part.zero and part.labels.shape == shape
        for part in (*given.values(), None)[:2]
    )
    name = name.removesuffix("_")
    if name == "mul":
        return first or second
    return first and (name == "div" or name in ZERO_AT_ZERO.split() or (second and name in ("add", "sub")))


def join_constant(labels: Labels, units: Tensor, operand: Constant) -> None:
    """Give a constant that broadcasts with an activation the labels of its units (shape of the result)."""
    several = varying(units)
    if len(several) > 1:
        labels.waiting.append((units, operand.dims))
    else:
        labels.join_lines(units, several, operand.dims)


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
    return Activation(along(operand.dims[several[0]], several[0], len(shape)).expand(shape))


def glu(labels: Labels, node: fx.Node, self: Activation, dim: int = -1) -> Activation:
    """Multiply the first half of a dimension by the sigmoid of the second: unit i is in both halves."""
    first, second = self.labels.chunk(2, dim)
    labels.join(first, second)
    return Activation(first, self.zero)


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
