"""Layers: weighted sums of units, which give units of their own."""

from typing import Any

from torch import fx

from prunet.structure.labels import Labels, along
from prunet.structure.program import operation
from prunet.structure.rules import products
from prunet.structure.rules.contraction import layer
from prunet.structure.tensors import Activation, Constant


def linear(
    labels: Labels, node: fx.Node, input: Activation, weight: Any, bias: Any = None
) -> Activation | None:
    """Compute a unit for each row of the weight, (out, in)."""
    if isinstance(bias, Activation):
        return None
    if isinstance(weight, Activation):
        return products.matmul(labels, node, self=input, other=products.turned(weight))
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
    bias: Any = None,
    groups: int = 1,
    **_: Any,
) -> Activation | None:
    """Compute a map for each filter of the weight, (out, in / groups, ...), or (in, out, ...) if transposed.

    A depthwise filter belongs to the map that it reads. Other groups of maps keep equal sizes: map i of every
    group is one unit.
    """
    transposed = "transpose" in operation(node)
    if not isinstance(weight, Constant) or isinstance(bias, Activation) or (transposed and groups > 1):
        return None
    channel = input.labels.ndim - weight.value.ndim + 1  # 0 for maps without a batch
    rows, columns = (1, 0) if transposed else (0, 1)
    return layer(labels, input, channel, weight, rows, columns, bias, groups)


def embedding(labels: Labels, node: fx.Node, weight: Constant, indices: Activation, **_: Any) -> Activation:
    """Return the columns of the table, (entries, width), at each index."""
    labels.keep(weight.dims[0])
    return Activation(along(weight.dims[1], -1, indices.labels.ndim + 1))
