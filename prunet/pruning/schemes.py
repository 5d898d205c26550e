"""Schemes: what a round's survivors are trained from and how, controls of the mask, and sparse training.

The first line of a scheme's text is its line in `python -m stages.retrain --help`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from prunet.pruning import densities
from prunet.pruning.course import Course
from prunet.pruning.masks import Masks, Weights


class Sources(NamedTuple):
    """What a scheme may draw on; weights are read or drawn only if it does.

    Attributes:
        initial: gives the weights before training, (R, *shape).
        early: gives the weights of the dense training after step `rewind`, (R, *shape).
        trained: gives the trained weights that the masks were made from, (R, *shape).
        fresh: gives new random weights, (N, *shape), N a multiple of R; a replicate's are neighbours.
        masks: the masks of the round, (R, *shape).
        rng: gives the random generator of a replicate.
        rewind: the step of `early`.
        dynamic: the block `dynamic` of params.yaml.
    """

    initial: Callable[[], Weights]
    early: Callable[[], Weights]
    trained: Callable[[], Weights]
    fresh: Callable[[], Weights]
    masks: Masks
    rng: Callable[[int], np.random.Generator]
    rewind: int
    dynamic: Mapping[str, Any]


class Ticket(NamedTuple):
    """Start values (N, *shape), masks (N, *shape), and the course of their training."""

    weights: Weights
    masks: Masks
    course: Course = Course()


def original(sources: Sources) -> Ticket:
    """The values before training: the lottery ticket.

    Frankle & Carbin 2019, section 2: rewinding to step 0, whatever `rewind` is.
    """
    return Ticket(sources.initial(), sources.masks)


def rewind(sources: Sources) -> Ticket:
    """Weights and learning rate of step `rewind` of the dense training.

    Late resetting (Frankle et al. 2020, section 3), "weight rewinding" of Renda et al. 2020, section 2. Steps
    `rewind` + 1 to the last follow, with the learning rates and images that these steps have in the dense
    training.
    """
    return Ticket(sources.early(), sources.masks, Course(first=sources.rewind))


def trained(sources: Sources) -> Ticket:
    """The values after training, and all steps once more.

    Prune and train again (Han et al. 2015, section 3.2); with all of the learning rates, as here, it is
    `lr-rewind` to step 0.
    """
    return Ticket(sources.trained(), sources.masks)


def lr_rewind(sources: Sources) -> Ticket:
    """The values after training, learning rate of step `rewind` on.

    "Learning rate rewinding" (Renda et al. 2020, section 2): steps `rewind` + 1 to the last. With `rewind: 0`
    it is `trained`.
    """
    return Ticket(sources.trained(), sources.masks, Course(first=sources.rewind))


def fine_tune(sources: Sources) -> Ticket:
    """The values after training, all steps at the last learning rate.

    "Fine-tuning" (Renda et al. 2020, section 2; Han et al. 2015).
    """
    return Ticket(sources.trained(), sources.masks, Course(last_rate=True))


def random(sources: Sources) -> Ticket:
    """New random values, `reinits` draws for each mask.

    From the distribution of the original ones (Frankle & Carbin 2019, section 2).
    """
    weights = sources.fresh()
    masks = {
        name: np.repeat(mask, len(weights[name]) // len(mask), axis=0) for name, mask in sources.masks.items()
    }
    return Ticket(weights, masks)


def shuffled(sources: Sources) -> Ticket:
    """Control: mask and original values shuffled within each layer.

    The surviving values are the ticket's; what they connect is not. (The shuffling of Frankle et al. 2021,
    section 5, with the values moved along: else it would be the draw of `random-mask`.)
    """
    weights, masks = dict(sources.initial()), {}
    moves = _permutations(sources)
    for name, mask in sources.masks.items():
        weights[name] = _moved(weights[name], moves[name])
        masks[name] = _moved(mask, moves[name])
    return Ticket(weights, masks)


def random_mask(sources: Sources) -> Ticket:
    """Control: a random mask, as dense in each layer, original values."""
    moves = _permutations(sources)
    return Ticket(
        sources.initial(), {name: _moved(mask, moves[name]) for name, mask in sources.masks.items()}
    )


def gradual(sources: Sources) -> Ticket:
    """Pruned by magnitude during one training, to the round's density.

    Zhu & Gupta 2017, section 3: from the dense network before training to the number of weights that every
    layer has in the round's mask.
    """
    return Ticket(sources.initial(), sources.masks, _changing(sources, "gradual"))


def static(sources: Sources) -> Ticket:
    """A random mask of the round's density, trained from scratch.

    The baseline of sparse training (Evci et al. 2020, section 4), with the layers' densities of
    `dynamic.densities`; `random-mask` has those of the round.
    """
    return Ticket(sources.initial(), _sparse(sources))


def set_(sources: Sources) -> Ticket:
    """Sparse training: drop the smallest weights, grow random ones.

    Sparse evolutionary training, Mocanu et al. 2018; see `dynamics.set_`.
    """
    return Ticket(sources.initial(), _sparse(sources), _changing(sources, "set"))


def rigl(sources: Sources) -> Ticket:
    """Sparse training: drop the smallest, grow where gradients are large.

    RigL, Evci et al. 2020; see `dynamics.rigl`.
    """
    return Ticket(sources.initial(), _sparse(sources), _changing(sources, "rigl"))


def sparse_momentum(sources: Sources) -> Ticket:
    """Sparse training: drop the smallest, grow where momentum is large.

    Dettmers & Zettlemoyer 2019; see `dynamics.sparse_momentum`.
    """
    return Ticket(sources.initial(), _sparse(sources), _changing(sources, "sparse-momentum"))


def _changing(sources: Sources, how: str) -> Course:
    return Course(changes={"how": how, "whole": _whole(sources.masks), **sources.dynamic})


def _whole(masks: Masks) -> list[str]:
    """Return the layers of which the round has removed nothing, such as those that are left out."""
    return [name for name, mask in masks.items() if mask.all()]


def _sparse(sources: Sources) -> Masks:
    """Draw random masks with the round's number of survivors in all layers together.

    What the round leaves whole stays whole.
    """
    whole = _whole(sources.masks)
    pruned = {name: mask for name, mask in sources.masks.items() if name not in whole}
    shapes = {name: mask.shape[1:] for name, mask in pruned.items()}
    after = {name: mask.copy() for name, mask in sources.masks.items()}
    for replicate in range(len(next(iter(after.values())))):
        total = sum(int(np.count_nonzero(mask[replicate])) for mask in pruned.values())
        counts = densities.survivors(shapes, total, sources.dynamic["densities"]) if pruned else {}
        drawn = densities.random_mask(counts, shapes, sources.rng(replicate))
        for name, mask in drawn.items():
            after[name][replicate] = mask
    return after


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
    "rewind": rewind,
    "trained": trained,
    "lr-rewind": lr_rewind,
    "fine-tune": fine_tune,
    "random": random,
    "shuffled": shuffled,
    "random-mask": random_mask,
    "gradual": gradual,
    "static": static,
    "set": set_,
    "rigl": rigl,
    "sparse-momentum": sparse_momentum,
}
# Those that change nothing at density 1: there they are the dense training itself.
DENSE_AT_ROUND_0 = set(SCHEMES) - {"rewind", "trained", "lr-rewind", "fine-tune", "random", "shuffled"}
# Those that begin with a random mask: with the same one.
SPARSE = ("static", "set", "rigl", "sparse-momentum")
# Those that train the round's own mask: of whole units, if it has removed such.
UNDER_THE_ROUNDS_MASK = ("original", "rewind", "trained", "lr-rewind", "fine-tune", "random")
