"""Labels: the unit that each element of an activation or parameter belongs to.

Elements with the same label can only be removed together. Rules give fresh labels to the rows of a layer and
join the labels that an operation ties. Label 0 is the unit that stays.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

KEPT = 0
ATTENTION = ("heads", "widths")  # whole heads; or the same elements of all heads, which get narrower


class Labels:
    """Labels handed out so far, the pairs of them that are equal, and why.

    Args:
        attention: what a unit of attention is, one of `ATTENTION`.

    Attributes:
        notes: (label, reason) of each unit that an operation keeps whole.
        waiting: labels of activations whose units lie along several dimensions as yet, and of the dimensions
            of the constants that are combined with them.
    """

    def __init__(self, attention: str = "heads") -> None:
        self.attention = attention
        self._count = 1
        self._pairs = [torch.zeros(2, 0, dtype=torch.long)]
        self.notes: list[tuple[int, str]] = []
        self.waiting: list[tuple[Tensor, list[Tensor]]] = []

    def fresh(self, count: int) -> Tensor:
        """Return (count,) labels that no element has yet."""
        self._count += count
        return torch.arange(self._count - count, self._count)

    def join(self, first: Tensor, second: Tensor | int) -> None:
        """Make the labels of two tensors equal, element by element, after broadcasting."""
        second = torch.as_tensor(second)
        shape = np.broadcast_shapes(first.shape, second.shape)
        # A dimension along which both are spread has one element.
        pair = [compact(labels.expand(shape)) for labels in (first, second)]
        least = np.broadcast_shapes(*(labels.shape for labels in pair))
        one, other = (labels.expand(least).flatten() for labels in pair)
        differ = one != other
        if differ.any():
            edges = np.unique(torch.stack([one[differ], other[differ]]).numpy(), axis=1)
            self._pairs.append(torch.from_numpy(edges))

    def tie(self, labels: Tensor, dims: Sequence[int], reason: str = "") -> Tensor:
        """Make the labels along some dimensions equal; return one of each, with these dimensions of size 1.

        Args:
            labels: of any shape.
            dims: may be negative.
            reason: why a unit stays if nothing else can go with it.
        """
        first = labels
        for dim in dims:
            first = first.narrow(dim, 0, 1)
        if any(varies(labels, dim) for dim in dims):
            self.join(labels, first)
            if reason:
                self.notes.append((int(first.flatten()[0]), reason))
        return first

    def join_lines(self, units: Tensor, several: Sequence[int], dims: Sequence[Tensor]) -> None:
        """Join the dimensions of a constant with those of an activation that it broadcasts with.

        Args:
            units: labels of the activation.
            several: the dimension of the activation along which its units differ, if there is one.
            dims: labels (size,) along each dimension of the constant, aligned with the last ones.
        """
        for dim, own in enumerate(dims, units.ndim - len(dims)):
            if len(own) > 1 and dim in several:
                self.join(own, line(units, dim))
            else:
                self.keep(own)

    def keep(self, labels: Tensor, reason: str = "") -> None:
        """Keep the units of some elements."""
        labels = compact(labels)
        if reason and (labels != KEPT).any():
            self.notes.append((int(labels.max()), reason))
        self.join(labels, KEPT)

    def resolve(self) -> Tensor:
        """Return the unit (labels,) of each label: KEPT, or the same number for all labels that are equal."""
        first, second = torch.cat(self._pairs, 1).numpy()
        edges = coo_array((np.ones(len(first), np.int8), (first, second)), shape=(self._count, self._count))
        units = torch.from_numpy(connected_components(edges, directed=False)[1]).long()
        return torch.where(units == units[KEPT], KEPT, units + 1)


def compact(labels: Tensor) -> Tensor:
    """Return the labels without repeats: dimensions along which they are spread get size 1."""
    for dim, (size, stride) in enumerate(zip(labels.shape, labels.stride(), strict=True)):
        if size > 1 and stride == 0:
            labels = labels.narrow(dim, 0, 1)
    return labels


def along(line: Tensor, dim: int, ndim: int) -> Tensor:
    """Return labels (size,) along one dimension of a tensor; its other dimensions have size 1."""
    return line.view([-1 if other == dim % ndim else 1 for other in range(ndim)])


def line(labels: Tensor, dim: int) -> Tensor:
    """Return the labels (size,) along a dimension, at the first index of the others."""
    for other in range(labels.ndim):
        if other != dim % labels.ndim:
            labels = labels.narrow(other, 0, 1)
    return labels.flatten()


def varies(labels: Tensor, dim: int) -> bool:
    """Return whether the labels differ along a dimension."""
    labels = compact(labels)
    return labels.shape[dim] > 1 and bool((labels != labels.narrow(dim, 0, 1)).any())


def varying(labels: Tensor) -> list[int]:
    """List the dimensions along which the labels differ."""
    return [dim for dim in range(labels.ndim) if varies(labels, dim)]


def spread(labels: Tensor) -> Tensor:
    """Return equal labels that need memory only along the dimensions along which they differ."""
    least = compact(labels)
    for dim in range(labels.ndim):
        if not varies(least, dim):
            least = least.narrow(dim, 0, min(1, least.shape[dim]))
    return least.clone().expand(labels.shape)
