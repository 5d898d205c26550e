"""Random masks and shuffled values, for the controls of the mask."""

import numpy as np
from numpy.typing import NDArray

from prunet.cells.masks import Masks, Weights
from prunet.retraining.scheme import Sources
from prunet.structure.finding import Units
from prunet.structure.masks import removed_rows, unit_masks


def generators(sources: Sources) -> list[np.random.Generator]:
    """Return the random generator of each replicate."""
    return [sources.rng(replicate) for replicate in range(len(next(iter(sources.masks.values()))))]


def random_masks(sources: Sources, rngs: list[np.random.Generator]) -> Masks:
    """Draw masks (R, *shape) with as many survivors in every layer as the round's, at random positions.

    Where the round removed whole units, the masks do too, as many of each group.
    """
    drawn = []
    for replicate, rng in enumerate(rngs):
        masks = {name: mask[replicate] for name, mask in sources.masks.items()}
        drawn.append(_random_units(sources.units(), masks, rng) if sources.units else _random(masks, rng))
    return {name: np.stack([masks[name] for masks in drawn]) for name in sources.masks}


def _random(masks: Masks, rng: np.random.Generator) -> Masks:
    return {name: rng.permutation(mask.ravel()).reshape(mask.shape) for name, mask in masks.items()}


def _random_units(units: Units, masks: Masks, rng: np.random.Generator) -> Masks:
    """Draw the masks (*shape) of one network without as many units of each group as `masks` lack."""
    found = unit_masks(units, [rng.permutation(gone) for gone in removed_rows(units, masks)])
    return {
        name: found[name].cpu().numpy() if name in found else np.ones_like(mask)
        for name, mask in masks.items()
    }


def shuffled(weights: Weights, before: Masks, after: Masks, rngs: list[np.random.Generator]) -> Weights:
    """Return `weights` (R, *shape) in a random order within each layer: survivors stay survivors.

    Args:
        weights: of all tensors; those without a mask keep their values.
        before: masks of `weights`.
        after: masks of the result, with as many survivors.
        rngs: of each replicate.
    """
    moved = dict(weights)
    for name in after:
        parts = zip(weights[name], before[name], after[name], rngs, strict=True)
        moved[name] = np.stack([_shuffled(*part) for part in parts])
    return moved


def _shuffled(
    values: NDArray[np.float32],
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    moved = np.concatenate([rng.permutation(values[before]), rng.permutation(values[~before])])
    found, survivors = np.empty_like(values), np.count_nonzero(after)
    found[after], found[~after] = moved[:survivors], moved[survivors:]
    return found
