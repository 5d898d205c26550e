"""Layers: weighted sums of units, which give units of their own."""

from typing import Any

from torch import fx

from prunet.structure.labels import Labels
from prunet.structure.rules import products
from prunet.structure.rules.contraction import layer
from prunet.structure.tensors import Activation, Constant


def linear(
    labels: Labels, node: fx.Node, input: Activation, weight: Any, bias: Constant | None = None
) -> Activation | None:
    """Compute a unit for each row of the weight, (out, in)."""
    if isinstance(weight, Activation):
        return products.matmul(labels, node, self=input, other=Activation(weight.labels.transpose(-1, -2)))
    return layer(labels, input, -1, weight, 0, 1, bias)


def addmm(labels: Labels, node: fx.Node, self: Any, mat1: Any, mat2: Any, **_: Any) -> Activation | None:
    """Compute a unit for each column of the weight `mat2`, (in, out)."""
    if not (isinstance(mat2, Constant) and isinstance(mat1, Activation) and isinstance(self, Constant)):
        return None
    return layer(labels, mat1, -1, mat2, 1, 0, self)


def convolution(
    labels: Labels,
    node: fx.Node,
    input: Activation,
    weight: Any,
    bias: Constant | None = None,
    groups: int = 1,
    **_: Any,
) -> Activation | None:
    """Compute a map for each filter of the weight, (out, in / groups, ...).

    A depthwise filter belongs to the map that it reads. Other groups of maps keep equal sizes: map i of every
    group is one unit.
    """
    if not isinstance(weight, Constant):
        return None
    return layer(labels, input, 1, weight, 0, 1, bias, groups)


def transposed_convolution(
    labels: Labels,
    node: fx.Node,
    input: Activation,
    weight: Any,
    bias: Constant | None = None,
    groups: int = 1,
    **_: Any,
) -> Activation | None:
    """Compute a map for each filter of the weight, (in, out / groups, ...)."""
    if not isinstance(weight, Constant) or groups > 1:
        return None
    return layer(labels, input, 1, weight, 1, 0, bias)


def embedding(labels: Labels, node: fx.Node, weight: Constant, indices: Activation, **_: Any) -> Activation:
    """Return the columns of the table, (entries, width), at each index."""
    labels.keep(weight.dims[0])
    return Activation(weight.dims[1].view([1] * indices.labels.ndim + [-1]))
