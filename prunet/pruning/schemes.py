"""Schemes: the values that a round's surviving weights are trained from, and two controls of the mask."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from prunet.pruning.masks import Masks, Weights


class Sources(NamedTuple):
    """What a scheme may draw on; weights are read or drawn only if it does.

    Attributes:
        initial: gives the weights before training, (R, *shape).
        trained: gives the trained weights that the masks were made from, (R, *shape).
        fresh: gives new random weights, (N, *shape), N a multiple of R; a replicate's are neighbours.
        masks: the masks of the round, (R, *shape).
        rng: gives the random generator of a replicate.
    """

    initial: Callable[[], Weights]
    trained: Callable[[], Weights]
    fresh: Callable[[], Weights]
    masks: Masks
    rng: Callable[[int], np.random.Generator]


Ticket = tuple[Weights, Masks]  # start values and masks, (N, *shape)


def original(sources: Sources) -> Ticket:
    """The values before training: the lottery ticket (Frankle & Carbin 2019)."""
    return sources.initial(), sources.masks


def trained(sources: Sources) -> Ticket:
    """The values after training: prune and fine-tune (Han et al. 2015)."""
    return sources.trained(), sources.masks


def random(sources: Sources) -> Ticket:
    """New values from the distribution of the original ones, one or more draws for each mask."""
    weights = sources.fresh()
    masks = {
        name: np.repeat(mask, len(weights[name]) // len(mask), axis=0) for name, mask in sources.masks.items()
    }
    return weights, masks


def shuffled(sources: Sources) -> Ticket:
    """The mask with its original values, moved to random places of its layer.

    The surviving values are the ticket's; what they connect is not. (The shuffling of Frankle et al. 2021,
    section 5, with the values moved along: else it would be the draw of `random-mask`.)
    """
    weights, masks = dict(sources.initial()), {}
    moves = _permutations(sources)
    for name, mask in sources.masks.items():
        weights[name] = _moved(weights[name], moves[name])
        masks[name] = _moved(mask, moves[name])
    return weights, masks


def random_mask(sources: Sources) -> Ticket:
    """Original values under a random mask with the round's number of survivors in every layer."""
    moves = _permutations(sources)
    return sources.initial(), {name: _moved(mask, moves[name]) for name, mask in sources.masks.items()}


def _permutations(sources: Sources) -> dict[str, list[np.ndarray]]:
    """Draw for every layer a permutation of its weights for each replicate."""
    replicates = len(next(iter(sources.masks.values())))
    rngs = [sources.rng(replicate) for replicate in range(replicates)]
    return {name: [rng.permutation(mask[0].size) for rng in rngs] for name, mask in sources.masks.items()}


def _moved(values: np.ndarray, moves: list[np.ndarray]) -> np.ndarray:
    flat = values.reshape(len(values), -1)
    return np.stack([row[move] for row, move in zip(flat, moves, strict=True)]).reshape(values.shape)


SCHEMES = {
    "original": original,
    "trained": trained,
    "random": random,
    "shuffled": shuffled,
    "random-mask": random_mask,
}
