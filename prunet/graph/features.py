"""Which features of a network live and die together."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from prunet.graph.trace import DIMENSIONS, Effect, Step, refusal

Ids = NDArray[np.int64]


def classes(steps: Sequence[Step], channels: int, *, across_moves: bool) -> list[Ids]:
    """Number the features that every step gives, the same number for those that live and die together.

    Such are the two of a pair of a max-feature-map, and feature i of both branches of a sum. A map that is
    flattened stays one feature, whatever its positions.

    Args:
        steps: from `graph.trace`.
        channels: how many features an image has.
        across_moves: whether a feature keeps its number where it moves to another place.

    Returns:
        (n,) for each step.

    Raises:
        InputError: features do not fit an operation.
    """
    walk = _Walk(channels, across_moves)
    for step in steps:
        walk.given.append(_FOLLOW[step.effect](walk, step, *(walk.given[number] for number in step.inputs)))
    return walk.numbers()


def apply(step: Step, notes: Tensor) -> Tensor:
    """Pass notes on features, (1, n) or (1, n, 1, 1), through an operation of effect `apply` or `move`."""
    after: Tensor = step.operation(notes.clone())  # it may work in place
    return after


class _Walk:
    """The features of the steps so far, as float64 of one image with one position: operations take them."""

    def __init__(self, channels: int, across_moves: bool) -> None:
        self.channels, self.across_moves = channels, across_moves
        self.given: list[Tensor] = []
        self.count = 0
        self.equal: list[tuple[Tensor, Tensor]] = [(torch.zeros(1, 0), torch.zeros(1, 0))]

    def fresh(self, count: int, dimensions: int) -> Tensor:
        self.count += count
        ids = torch.arange(self.count - count, self.count, dtype=torch.float64)
        return ids.view(1, -1, *[1] * (dimensions - 2))

    def numbers(self) -> list[Ids]:
        """Return a number for each class of features: those that are equal in any number of steps."""
        first, second = (
            torch.cat([pair[side].flatten() for pair in self.equal]).long().numpy() for side in (0, 1)
        )
        edges = coo_array((np.ones(len(first)), (first, second)), shape=(self.count, self.count))
        labels = connected_components(edges, directed=False)[1].astype(np.int64)
        return [labels[ids.flatten().long().numpy()] for ids in self.given]


def _images(walk: _Walk, step: Step) -> Tensor:
    return walk.fresh(walk.channels, 4)


def _layer(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if ids.ndim != DIMENSIONS[step.kind]:
        raise refusal(f"{step.kind.__name__} on features of {ids.ndim} dimensions (at {step.name})")
    return walk.fresh(len(step.operation.weight), ids.ndim)


def _norm(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if step.operation.num_features != ids.shape[1]:
        raise refusal(f"a norm of something else than maps or units (at {step.name})")
    return ids


def _keep(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    return ids


def _apply(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    after = apply(step, ids)
    if after.numel() != ids.numel() or after.ndim < 2:
        raise refusal(f"an operation over several features (at {step.name})")
    return after


def _pairs(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    first, second = ids.chunk(2, 1)
    walk.equal.append((first, second))
    return first


def _sum(walk: _Walk, step: Step, first: Tensor, second: Tensor) -> Tensor:
    if first.shape != second.shape:
        raise refusal(f"a sum of branches with different features (at {step.name})")
    walk.equal.append((first, second))
    return first


def _move(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if ids.ndim != 4:
        raise refusal(f"an operation that moves something else than maps (at {step.name})")
    source = torch.from_numpy(route(step, ids.shape[1]))
    after = walk.fresh(len(source), 4)
    if walk.across_moves:
        moved = source >= 0
        walk.equal.append((after[:, moved], ids[:, source[moved]]))
    return after


def route(step: Step, count: int) -> Ids:
    """Return which of `count` maps an operation of effect `move` brings to each place (m,), -1 for zeros.

    Raises:
        InputError: it moves positions of maps, too.
    """
    after = apply(step, torch.arange(1, count + 1, dtype=torch.float64).view(1, -1, 1, 1))
    if after.ndim != 4 or after.shape[2:] != (1, 1):
        raise refusal(f"an operation that moves something else than maps (at {step.name})")
    return after.flatten().long().numpy() - 1


_FOLLOW: dict[Effect, Callable[..., Tensor]] = {
    "images": _images,
    "layer": _layer,
    "norm": _norm,
    "keep": _keep,
    "apply": _apply,
    "pairs": _pairs,
    "sum": _sum,
    "move": _move,
}
