"""Sparse training from scratch: random masks, and updates that drop weights and grow others.

An update handles one network in NumPy: updates are rare, and ties break alike on every device. A dropped
weight may grow again at once: it has then stayed.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.cells.masks import Masks
from prunet.retraining import densities
from prunet.retraining.scheme import Scheme, Sources, Ticket
from prunet.training.plan import FlatMasks, MaskSchedule, MaskUpdate, TrainingPlan, round_half_up

Update = Callable[[MaskUpdate], FlatMasks]


def sparse_scheme(
    label: str,
    color: str,
    marker: str,
    linestyle: Any,
    update: Update | None = None,
    needs_momentum: bool = False,
) -> Scheme:
    """Return a scheme of original values under random masks, which `update` changes as they train."""

    def ticket(sources: Sources) -> Ticket:
        plan = TrainingPlan(mask_schedule=schedule(sources, update)) if update else TrainingPlan()
        return Ticket(sources.initial(), random_masks(sources), plan)

    return Scheme(
        ticket,
        label,
        color,
        marker,
        linestyle,
        dense_at_round_0=True,
        keeps_mask=False,
        dynamic=True,
        updates_masks=update is not None,
        needs_momentum=needs_momentum,
        seed="sparse",
    )


def schedule(
    sources: Sources, update: Update, dense_first: bool = False, settling: bool = False
) -> MaskSchedule:
    """Return the schedule of the block `dynamic` of params.yaml; further arguments as of `MaskSchedule`."""
    times = {key: sources.dynamic[key] for key in ("begin", "end", "every", "drop")}
    whole = tuple(name for name, mask in sources.masks.items() if mask.all())
    return MaskSchedule(update, whole=whole, dense_first=dense_first, settling=settling, **times)


def random_masks(sources: Sources) -> Masks:
    """Draw random masks with as many survivors as the round has, all layers together.

    Layers that the round leaves whole stay whole.
    """
    pruned = {name: mask for name, mask in sources.masks.items() if not mask.all()}
    shapes = {name: mask.shape[1:] for name, mask in pruned.items()}
    after = {name: mask.copy() for name, mask in sources.masks.items()}
    for replicate in range(len(next(iter(after.values())))):
        total = sum(int(np.count_nonzero(mask[replicate])) for mask in pruned.values())
        counts = densities.survivors(shapes, total, sources.dynamic["densities"]) if pruned else {}
        for name, mask in densities.random_mask(counts, shapes, sources.rng(replicate)).items():
            after[name][replicate] = mask
    return after


def drop(update: MaskUpdate) -> tuple[FlatMasks, dict[str, int]]:
    """Return the masks without each layer's smallest weights, and how many each has lost; one always stays.

    The share falls along half a cosine from `drop` to zero (Evci et al. 2020, section 3, "update schedule").
    """
    share = update.drop / 2 * (1 + math.cos(math.pi * update.progress))
    counts = {name: int(mask.sum()) for name, mask in update.masks.items()}
    lost = {name: min(round_half_up(share * count), count - 1) for name, count in counts.items()}
    kept = {
        name: without_smallest(update.weights[name], mask, lost[name]) for name, mask in update.masks.items()
    }
    return kept, lost


def without_smallest(weights: NDArray[np.float32], mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    """Return `mask` (n,) without the `count` survivors of the smallest magnitude."""
    alive = np.flatnonzero(mask)
    after = mask.copy()
    after[alive[lowest(np.abs(weights[alive]), count)]] = False
    return after


def grow(mask: NDArray[np.bool_], scores: NDArray[Any], count: int) -> NDArray[np.bool_]:
    """Return `mask` (n,) with `count` more survivors, where the scores (n,) are highest."""
    gone = np.flatnonzero(~mask)
    after = mask.copy()
    after[gone[lowest(-scores[gone], count)]] = True
    return after


def lowest(scores: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Return the indices of the `count` lowest scores (n,): of equal scores the earlier ones."""
    if count == 0:
        return np.empty(0, np.intp)
    edge = np.partition(scores, count - 1)[count - 1]  # without sorting millions of weights
    below = np.flatnonzero(scores < edge)
    return np.concatenate([below, np.flatnonzero(scores == edge)[: count - len(below)]])
