"""Masks that change during a training: gradual pruning, and sparse training from scratch.

A change looks at one network at a time, in NumPy: changes are rare, and ties fall alike on every device. What
it returns is the network's masks after it. A weight that is dropped may grow again at once: it has stayed.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.pruning.densities import apportion, lowest

Values = dict[str, NDArray[np.float32]]  # {layer: (n,)}
Flat = dict[str, NDArray[np.bool_]]  # {layer: (n,)}


class Moment(NamedTuple):
    """A network at a change of its masks.

    Attributes:
        progress: 0 at the first change, 1 at the last.
        drop: share of a layer's weights that the first change replaces.
        ends: number of weights of every layer in the round's mask.
        weights: of every layer; zero outside the mask.
        gradients: of the last step's loss, outside the mask too.
        momenta: the optimizer's running mean of the gradients, outside the mask too.
        masks: of every layer.
        rng: for this change of this network.
    """

    progress: float
    drop: float
    ends: dict[str, int]
    weights: Values
    gradients: Values
    momenta: Values
    masks: Flat
    rng: np.random.Generator

    def finite(self) -> bool:
        """Return whether all that decides is finite: a training that diverges has nothing to rank."""
        values = (self.weights, self.gradients, self.momenta)
        return all(np.isfinite(array).all() for named in values for array in named.values())


def gradual(moment: Moment) -> Flat:
    """Remove the smallest weights, so that a layer's density falls along a cubic curve to the round's.

    Zhu & Gupta 2017, equation 1: quickly at first, when much is redundant, then ever more slowly.
    """
    after = {}
    for name, mask in moment.masks.items():
        end = moment.ends[name]
        count = _rounded(end + (mask.size - end) * (1 - moment.progress) ** 3)
        after[name] = _without_smallest(moment.weights[name], mask, int(mask.sum()) - count)
    return after


def set_(moment: Moment) -> Flat:
    """Drop each layer's smallest weights and grow as many at random places (Mocanu et al. 2018, SET).

    The share falls along a cosine as in `rigl`, as Evci et al. 2020 compare the two; Mocanu's is constant,
    and taken of positive and of negative weights apart.
    """
    kept, lost = _dropped(moment)
    return {name: _grown(kept[name], moment.rng.random(kept[name].size), lost[name]) for name in kept}


def rigl(moment: Moment) -> Flat:
    """Drop each layer's smallest weights and grow as many where gradients are largest (Evci et al. 2020).

    Section 3 and algorithm 1, where a change takes the place of a step; here it follows one and looks at its
    gradients, so that every scheme takes as many steps.
    """
    kept, lost = _dropped(moment)
    return {name: _grown(kept[name], np.abs(moment.gradients[name]), lost[name]) for name in kept}


def sparse_momentum(moment: Moment) -> Flat:
    """Drop each layer's smallest weights and grow as many, in all, where momentum is largest.

    A layer's part of the growth is in proportion to the mean momentum (absolute) of what it kept (Dettmers &
    Zettlemoyer 2019, section 3). With Adam the momentum is its first moment.
    """
    kept, lost = _dropped(moment)
    sizes = {name: np.abs(momenta) for name, momenta in moment.momenta.items()}
    means = [float(sizes[name][mask].mean(dtype=np.float64)) for name, mask in kept.items()]
    room = [int(mask.size - mask.sum()) for mask in kept.values()]
    counts = apportion(sum(lost.values()), means, room)
    return {name: _grown(kept[name], sizes[name], n) for name, n in zip(kept, counts, strict=True)}


DYNAMICS = {"gradual": gradual, "set": set_, "rigl": rigl, "sparse-momentum": sparse_momentum}
DENSE_FIRST = ("gradual",)  # they begin without a mask


def change_steps(changes: Mapping[str, Any], settings: Mapping[str, Any]) -> range:
    """Return the steps after which masks change: from `begin` on every `every`, up to `end`.

    Args:
        changes: of the training's course; `begin` and `end` are shares of all steps.
        settings: the study's `training` block.

    Raises:
        InputError: there are no two changes between them, or the optimizer has no momentum to look at.
    """
    if changes["how"] == "sparse-momentum" and settings["optimizer"] == "sgd" and not settings["momentum"]:
        raise InputError("sparse-momentum needs training.momentum above 0, or the optimizer adam.")
    steps = settings["steps"]
    begin, end = _rounded(changes["begin"] * steps), _rounded(changes["end"] * steps)
    at = range(begin, end + 1, changes["every"])
    if len(at) < 2:
        raise InputError(
            f"dynamic.every is {changes['every']}, and begin and end are steps {begin} and {end} of {steps}: "
            "the masks would never change; lower dynamic.every."
        )
    return at


def _dropped(moment: Moment) -> tuple[Flat, dict[str, int]]:
    """Return what a layer keeps, and how many it loses, its smallest: at least one weight stays.

    The share falls along half a cosine from `drop` to zero (Evci et al. 2020, section 3, "update schedule").
    """
    share = moment.drop / 2 * (1 + math.cos(math.pi * moment.progress))
    counts = {name: int(mask.sum()) for name, mask in moment.masks.items()}
    lost = {name: min(_rounded(share * count), count - 1) for name, count in counts.items()}
    kept = {
        name: _without_smallest(moment.weights[name], mask, lost[name]) for name, mask in moment.masks.items()
    }
    return kept, lost


def _without_smallest(weights: NDArray[np.float32], mask: NDArray[np.bool_], count: int) -> NDArray[np.bool_]:
    places = np.flatnonzero(mask)
    after = mask.copy()
    after[places[lowest(np.abs(weights[places]), count)]] = False
    return after


def _grown(mask: NDArray[np.bool_], scores: NDArray[Any], count: int) -> NDArray[np.bool_]:
    places = np.flatnonzero(~mask)
    after = mask.copy()
    after[places[lowest(-scores[places], count)]] = True
    return after


def _rounded(number: float) -> int:
    return math.floor(number + 0.5)
