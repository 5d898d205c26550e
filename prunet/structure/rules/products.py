"""Products of two activations: matrix products and attention."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, varies
from prunet.structure.rules.contraction import layer
from prunet.structure.tensors import Activation, Constant


def matmul(labels: Labels, node: fx.Node, **given: Any) -> Activation | None:
    """Multiply matrices, (..., M, K) by (..., K, N).

    With units along the leading dimensions (the heads of attention), each matrix belongs to its unit as a
    whole. Otherwise units along M or N are those of the result, and units along K stay.
    """
    first, second = list(given.values())[:2]
    if isinstance(first, Activation) and isinstance(second, Constant) and second.value.ndim == 2:
        return layer(labels, first, -1, second, 1, 0, None)
    if not (isinstance(first, Activation) and isinstance(second, Activation)):
        return None
    if first.labels.ndim < 2 or second.labels.ndim < 2:
        return None
    lead = np.broadcast_shapes(first.labels.shape[:-2], second.labels.shape[:-2])
    one, other = (part.labels.expand(*lead, *part.labels.shape[-2:]) for part in (first, second))
    if any(varies(part, dim) for part in (one, other) for dim in range(len(lead))):
        units = labels.tie(one, [-2, -1])
        labels.join(units, labels.tie(other, [-2, -1]))
        return Activation(units)
    if varies(one, -1) or varies(other, -2):
        for part, dims in ((one, [-1]), (other, [-2])):
            labels.keep(labels.tie(part, dims), f"{node.name} multiplies two activations over it")
    rows, columns = varies(one, -2), varies(other, -1)
    if rows and columns:
        for part in (one, other):
            labels.keep(part, f"{node.name} multiplies two kinds of units")
    elif rows:
        return Activation(one[..., :, :1])
    elif columns:
        return Activation(other[..., :1, :])
    return Activation(torch.full((1,) * one.ndim, KEPT))


def baddbmm(
    labels: Labels, node: fx.Node, self: Any, batch1: Any, batch2: Any, **_: Any
) -> Activation | None:
    """Add a product of matrices to a constant or to an activation, (B, M, N)."""
    result = matmul(labels, node, first=batch1, second=batch2)
    if result is not None:
        _join_heads(labels, result.labels, self)
    return result


def attention(
    labels: Labels,
    node: fx.Node,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    **options: Any,
) -> Activation | None:
    """Attend, (N, heads, T, width): a head of the query, key and value is one unit."""
    parts = query, key, value
    if not all(isinstance(part, Activation) and part.labels.ndim == 4 for part in parts):
        return None
    if options.get("enable_gqa") and key.labels.shape[1] != query.labels.shape[1]:
        return None
    heads = [labels.tie(part.labels, [-2, -1]) for part in parts]
    labels.join(heads[0], heads[1])
    labels.join(heads[0], heads[2])
    if attn_mask is not None:
        _join_heads(labels, heads[0], attn_mask)
    return Activation(heads[2])


def _join_heads(labels: Labels, heads: Tensor, table: Any) -> None:
    """Join the labels of a table that is added to the product of each head, (..., heads, M, N)."""
    if isinstance(table, Activation):
        own = labels.tie(table.labels, [-2, -1])
        if np.broadcast_shapes(own.shape, heads.shape) == own.shape:
            labels.join(own, heads)
        else:
            labels.keep(heads if any(varies(heads, dim) for dim in range(heads.ndim)) else own)
        return
    for dim, own in enumerate(table.dims):
        place = dim + heads.ndim - len(table.dims)
        if place < heads.ndim - 2 and varies(heads, place) and len(own) > 1:
            line = heads
            for other in range(heads.ndim):
                if other != place:
                    line = line.narrow(other, 0, 1)
            labels.join(own, line.flatten())
        else:
            labels.keep(own)


def einsum(labels: Labels, node: fx.Node, equation: str, tensors: list[Any], **_: Any) -> Activation | None:
    """Multiply two tensors along named dimensions: a layer if one is a weight, else a product of matrices."""
    if "..." in equation or "->" not in equation or len(tensors) != 2:
        return None
    names, result = equation.replace(" ", "").split("->")
    first, second = names.split(",")
    if isinstance(tensors[0], Constant):
        (first, second), tensors = (second, first), tensors[::-1]
    shared = [name for name in first if name in second]
    batch = [name for name in shared if name in result]
    summed = [name for name in shared if name not in result]
    free = [[name for name in own if name not in shared] for own in (first, second)]
    if set(result) != {*batch, *free[0], *free[1]} or len(set(first)) < len(first):
        return None
    if isinstance(tensors[1], Constant):
        if len(second) != 2 or len(summed) != 1:
            return None
        (row,), (column,) = free[1], summed
        places = second.index(row), second.index(column)
        made = layer(labels, tensors[0], first.index(column), tensors[1], *places, None).labels
        return Activation(made.permute([first.replace(column, row).index(name) for name in result]))
    sizes = dict(zip(first + second, (*tensors[0].labels.shape, *tensors[1].labels.shape), strict=True))
    one, other = (
        tensor.labels.permute([own.index(name) for name in order]).reshape(
            *(sizes[name] for name in batch), *(math.prod(sizes[name] for name in group) for group in groups)
        )
        for tensor, own, order, groups in (
            (tensors[0], first, batch + free[0] + summed, (free[0], summed)),
            (tensors[1], second, batch + summed + free[1], (summed, free[1])),
        )
    )
    product = matmul(labels, node, first=Activation(one), second=Activation(other))
    if product is None:
        return None
    order = batch + free[0] + free[1]
    whole = product.labels.expand(*one.shape[:-1], other.shape[-1]).reshape([sizes[name] for name in order])
    return Activation(whole.permute([order.index(name) for name in result]))
