"""Layers: weighted sums of units, which give units of their own."""

from typing import Any

from torch import Tensor, fx

from prunet.structure.labels import Labels
from prunet.structure.rules import products
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


def layer(
    labels: Labels,
    given: Activation,
    channel: int,
    weight: Constant,
    rows: int,
    columns: int,
    bias: Constant | None,
    groups: int = 1,
) -> Activation:
    """Give the rows of a weight labels of their own, and its columns those of the units that they read.

    Args:
        labels: of the program.
        given: the layer's input.
        channel: dimension of the input that the weight sums over.
        weight: its dimension `rows` computes units and its dimension `columns` reads them.
        rows, columns: dimensions of the weight.
        bias: (out,) or None.
        groups: of a convolution.
    """
    channel %= given.labels.ndim
    read = labels.tie(given.labels, [dim for dim in range(given.labels.ndim) if dim != channel]).flatten()
    out = weight.dims[rows]
    if groups == 1:
        labels.join(weight.dims[columns], read)
    elif groups == len(read):
        labels.join(out.view(groups, -1), read[:, None])
    else:
        for side in (read, out):
            labels.tie(side.view(groups, -1), [0])
        labels.join(weight.dims[columns], read[: len(read) // groups])
    for dim, own in enumerate(weight.dims):
        if dim not in (rows, columns):
            labels.keep(own)
    weight.base.masked = True
    weight.base.rows = weight.sources[rows]
    if isinstance(bias, Constant):
        labels.join(bias.dims[0], out)
        bias.base.masked = True
    return Activation(_place(out, given.labels.ndim, channel))


def _place(out: Tensor, ndim: int, channel: int) -> Tensor:
    return out.view([-1 if dim == channel else 1 for dim in range(ndim)])


def embedding(labels: Labels, node: fx.Node, weight: Constant, indices: Activation, **_: Any) -> Activation:
    """Return the columns of the table, (entries, width), at each index."""
    labels.keep(weight.dims[0])
    return Activation(weight.dims[1].view([1] * indices.labels.ndim + [-1]))
