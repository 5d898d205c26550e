"""Numbers for the features of a network; features that can only be removed together share one."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunet.shrinking.trace import DIMENSIONS, Effect, Step, unsupported

Ids = NDArray[np.int64]


def number_features(steps: Sequence[Step], channels: int, *, across_moves: bool) -> list[Ids]:
    """Number the output features of every step; features that can only be removed together share a number.

    These are the two features that a max-feature-map compares, and feature i of both branches of a sum. A
    flattened map remains one feature.

    Args:
        steps: from `trace.trace`.
        channels: features of an image.
        across_moves: whether a feature keeps its number when an operation moves it to another index.

    Returns:
        (n,) for each step.

    Raises:
        InputError: an operation does not support the features that it receives.
    """
    walk = _Walk(channels, across_moves)
    for step in steps:
        walk.given.append(_FOLLOW[step.effect](walk, step, *(walk.given[number] for number in step.inputs)))
    return walk.numbers()


def components(count: int, first: Ids, second: Ids) -> Ids:
    """Label the nodes 0 to `count` - 1 of a graph; nodes that a path connects get the same label.

    SciPy has this function, but importing it takes half a second, and every training process would do that.

    Args:
        count: number of nodes.
        first, second: (edges,) nodes that each edge connects.

    Returns:
        (count,) the lowest node that each node is connected with.
    """
    labels = np.arange(count)
    changed = True
    while changed:
        before, lowest = labels.copy(), np.minimum(labels[first], labels[second])
        np.minimum.at(labels, first, lowest)
        np.minimum.at(labels, second, lowest)
        changed = not np.array_equal(labels, before)
    return labels


def apply(step: Step, values: Tensor) -> Tensor:
    """Apply an operation of effect `apply` or `move` to one value per feature, (1, n) or (1, n, 1, 1)."""
    after: Tensor = step.operation(values.clone())  # the operation may work in place
    return after


class _Walk:
    """Feature numbers of the steps so far, as a float64 image with one position that operations accept."""

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
        """Return the numbers of every step, the same for all features that a chain of equalities connects."""
        first, second = (
            torch.cat([pair[side].flatten() for pair in self.equal]).long().numpy() for side in (0, 1)
        )
        labels = components(self.count, first, second)
        return [labels[ids.flatten().long().numpy()] for ids in self.given]


def _layer(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if ids.ndim != DIMENSIONS[step.kind]:
        raise unsupported(f"{step.kind.__name__} on features of {ids.ndim} dimensions (at {step.name})")
    return walk.fresh(len(step.operation.weight), ids.ndim)


def _norm(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if step.operation.num_features != ids.shape[1]:
        raise unsupported(f"a norm of something other than maps or units (at {step.name})")
    return ids


def _apply(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    after = apply(step, ids)
    if after.numel() != ids.numel() or after.ndim < 2:
        raise unsupported(f"an operation that mixes features (at {step.name})")
    return after


def _pairs(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    first, second = ids.chunk(2, 1)
    walk.equal.append((first, second))
    return first


def _sum(walk: _Walk, step: Step, first: Tensor, second: Tensor) -> Tensor:
    if first.shape != second.shape:
        raise unsupported(f"a sum of branches with different features (at {step.name})")
    walk.equal.append((first, second))
    return first


def _move(walk: _Walk, step: Step, ids: Tensor) -> Tensor:
    if ids.ndim != 4:
        raise unsupported(f"an operation that moves something other than maps (at {step.name})")
    source = torch.from_numpy(route(step, ids.shape[1]))
    after = walk.fresh(len(source), 4)
    if walk.across_moves:
        moved = source >= 0
        walk.equal.append((after[:, moved], ids[:, source[moved]]))
    return after


def route(step: Step, count: int) -> Ids:
    """Return the source (m,) of each output map of a `move` among `count` input maps, -1 for maps of zeros.

    Raises:
        InputError: the operation also moves positions within maps.
    """
    after = apply(step, torch.arange(1, count + 1, dtype=torch.float64).view(1, -1, 1, 1))
    if after.ndim != 4 or after.shape[2:] != (1, 1):
        raise unsupported(f"an operation that moves something other than maps (at {step.name})")
    return after.flatten().long().numpy() - 1


_FOLLOW: dict[Effect, Callable[..., Tensor]] = {
    "images": lambda walk, _: walk.fresh(walk.channels, 4),
    "layer": _layer,
    "norm": _norm,
    "keep": lambda walk, _, ids: ids,
    "apply": _apply,
    "pairs": _pairs,
    "sum": _sum,
    "move": _move,
}
