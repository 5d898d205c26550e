"""Products of two activations: matrix products and attention."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, line, varies
from prunet.structure.rules.contraction import layer
from prunet.structure.tensors import Activation, Constant


def matmul(labels: Labels, node: fx.Node, **given: Any) -> Activation | None:
    """Multiply matrices, (..., M, K) by (..., K, N).

    With units along the leading dimensions (the heads of attention), each matrix belongs to its unit as a
    whole, unless narrower matrices are asked for and possible. Otherwise units along M or N are those of
    the result, and units along K are in both factors, of which one must be zero at a removed unit.
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
    heads = any(varies(one, dim) and varies(other, dim) for dim in range(len(lead)))
    if heads and not (labels.attention == "widths" and _narrower(one, other)):
        units = labels.tie(one, [-2, -1])
        labels.join(units, labels.tie(other, [-2, -1]))
        return Activation(units)
    one, other = (labels.tie(part, range(len(lead))) for part in (one, other))
    return _single(labels, node, Activation(one, first.zero), Activation(other, second.zero))


def _narrower(one: Tensor, other: Tensor) -> bool:
    """Return whether units within matrices are summed over, or are those of the result."""
    summed = varies(one, -1), varies(other, -2)
    return all(summed) or (not any(summed) and varies(one, -2) != varies(other, -1))


def _single(labels: Labels, node: fx.Node, first: Activation, second: Activation) -> Activation:
    """Multiply matrices (..., M, K) by (..., K, N) that have the same units, whatever their leading index."""
    one, other = first.labels, second.labels
    kept = Activation(torch.full((1,) * one.ndim, KEPT))
    if varies(one, -1) and varies(other, -2) and (first.zero or second.zero):
        labels.join(labels.tie(one, [-2]).transpose(-1, -2), labels.tie(other, [-1]))
        return kept
    if varies(one, -1) or varies(other, -2):
        for part, dim in ((one, -1), (other, -2)):
            labels.keep(labels.tie(part, [dim]), f"{node.name} sums over it, and may not read zeros there")
    rows, columns = varies(one, -2), varies(other, -1)
    if rows and columns:
        for part in (one, other):
            labels.keep(part, f"{node.name} multiplies two kinds of units")
        return kept
    if rows:
        return Activation(one[..., :, :1], first.zero)
    return Activation(other[..., :1, :], second.zero) if columns else kept


def turned(matrices: Activation) -> Activation:
    """Return transposed matrices, (..., N, M) from (..., M, N)."""
    return Activation(matrices.labels.transpose(-1, -2), matrices.zero)


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
    **_: Any,
) -> Activation | None:
    """Attend, (N, heads, T, width), by the products of query and key, and of these and the value.

    A head of the key and value goes with all heads of the query that read it.
    """
    if not all(isinstance(part, Activation) for part in (query, key, value)):
        return None
    key, value = (_repeated(part, query.labels.shape) for part in (key, value))
    scores = matmul(labels, node, first=query, second=turned(key))
    if scores is None:
        return None
    if attn_mask is not None:
        _join_heads(labels, scores.labels, attn_mask)
    return matmul(labels, node, first=scores, second=value)


def _repeated(part: Activation, query: torch.Size) -> Activation:
    """Return the labels of keys or values with as many heads as the query."""
    if len(query) < 3 or part.labels.shape[-3] in (1, query[-3]):
        return part
    times = query[-3] // part.labels.shape[-3]
    return Activation(part.labels.repeat_interleave(times, -3), part.zero)


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
            labels.join(own, line(heads, place))
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
        made = layer(labels, tensors[0], first.index(column), tensors[1], *places, None)
        whole = made.labels.permute([first.replace(column, row).index(name) for name in result])
        return Activation(whole, made.zero)
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
    factors = [Activation(own, tensor.zero) for own, tensor in zip((one, other), tensors, strict=True)]
    product = matmul(labels, node, first=factors[0], second=factors[1])
    if product is None:
        return None
    order = batch + free[0] + free[1]
    whole = product.labels.expand(*one.shape[:-1], other.shape[-1]).reshape([sizes[name] for name in order])
    return Activation(whole.permute([order.index(name) for name in result]), product.zero)
