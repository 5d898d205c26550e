"""Tensors of a program with the labels of their elements."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from prunet.structure.labels import Labels, along


class Activation(NamedTuple):
    """A tensor that depends on the inputs.

    Attributes:
        labels: int64, of the activation's shape.
        zero: whether the elements of a unit are exactly zero once the weights that compute it are.
    """

    labels: Tensor
    zero: bool = False


class Constant:
    """A tensor that does not depend on the inputs: a parameter, a buffer, or what is computed from them.

    Attributes:
        value: the tensor.
        name: of the parameter or buffer in the model; empty if it is computed.
        dims: labels (size,) along each dimension.
        masked: whether its elements are weights of units, which are zero once the unit is removed. The others
            are only cut: scales and tables that are added to or multiplied with activations.
        rows: the dimension along which it computes units, if it is the weight of a layer.
        base: the parameter or buffer whose elements it has, or itself.
        sources: the dimension of `base` that each dimension runs along, or None.
    """

    def __init__(self, value: Tensor, name: str, dims: list[Tensor]) -> None:
        self.value, self.name, self.dims = value, name, dims
        self.masked = False
        self.rows: int | None = None
        self.base = self
        self.sources: list[int | None] = list(range(value.ndim))


def constant(labels: Labels, value: Tensor, name: str = "") -> Constant:
    """Return a constant whose dimensions have fresh labels."""
    return Constant(value, name, [labels.fresh(size) for size in value.shape])


def moved(labels: Labels, given: Constant, move: Callable[[Tensor], Any]) -> Any:
    """Move the elements of a constant; what is moved keeps the labels of its dimensions.

    A parameter that is transposed, chunked or sliced before its use remains that parameter. Where a move
    merges dimensions, the result counts as computed.

    Args:
        labels: of the program.
        given: the constant.
        move: returns a tensor, or several.
    """
    value = move(given.value)
    index = move(torch.arange(given.value.numel()).view(given.value.shape))
    if isinstance(value, Tensor):
        return _moved(labels, given, value, index)
    return [_moved(labels, given, *pair) for pair in zip(value, index, strict=True)]


def _moved(labels: Labels, given: Constant, value: Tensor, index: Tensor) -> Constant:
    if value.numel() == 0:
        return constant(labels, value)
    origin = index.flatten()[0]
    lines = [
        index[tuple(slice(None) if d == dim else 0 for d in range(index.ndim))] for dim in range(index.ndim)
    ]
    total = sum((along(line - origin, dim, index.ndim) for dim, line in enumerate(lines)), origin)
    sources = [_source(line, given.value.shape) for line in lines]
    used = [source for source, _ in sources if source is not None]
    if not torch.equal(total.expand(index.shape), index) or len(set(used)) < len(used) or -1 in used:
        return constant(labels, value)
    dims = [
        torch.zeros(len(where), dtype=torch.long) if source is None else given.dims[source][where]
        for source, where in sources
    ]
    result = Constant(value, given.name, dims)
    result.base = given.base
    result.sources = [None if source is None else given.sources[source] for source, _ in sources]
    return result


def _source(line: Tensor, shape: torch.Size) -> tuple[int | None, Tensor]:
    """Return the dimension of the constant that a line of flat indices runs along, and its positions there.

    The dimension is None if the line stays in place, and -1 if it runs along several.
    """
    positions = torch.stack(torch.unravel_index(line, shape)) if shape else torch.zeros(0, len(line)).long()
    runs = [dim for dim, place in enumerate(positions) if (place != place[0]).any()]
    if not runs:
        return None, torch.zeros_like(line)
    return (runs[0] if len(runs) == 1 else -1), positions[runs[0]]
