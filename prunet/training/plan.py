"""Deviations of one training run from the study's settings."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FlatValues = dict[str, NDArray[np.float32]]  # {layer: (n,)}
FlatMasks = dict[str, NDArray[np.bool_]]  # {layer: (n,)}

SETTLED_AFTER = 6  # updates at the earliest: the first masks, and five in a row that are like those before


class MaskUpdate(NamedTuple):
    """One network at the moment when its masks are updated.

    Attributes:
        progress: 0 at the first update, 1 at the last.
        drop: share of a layer's weights that the first update replaces.
        targets: number of weights of every layer in the round's mask.
        weights: of every layer; zero outside the mask.
        gradients: of the last step's loss, outside the mask too.
        momenta: the optimizer's running mean of the gradients, outside the mask too.
        masks: of every layer.
        rng: for this update of this network.
    """

    progress: float
    drop: float
    targets: dict[str, int]
    weights: FlatValues
    gradients: FlatValues
    momenta: FlatValues
    masks: FlatMasks
    rng: np.random.Generator

    def finite(self) -> bool:
        """Return whether all values that rank weights are finite; they are not once training diverges."""
        values = (self.weights, self.gradients, self.momenta)
        return all(np.isfinite(array).all() for named in values for array in named.values())


class MaskSchedule(NamedTuple):
    """Changes of the masks during training: dynamic sparsity, gradual pruning.

    Attributes:
        update: returns a network's masks after an update.
        begin: share of the training steps before the first update, 0 to 1.
        end: share of the steps after which the masks stay, 0 to 1.
        every: steps between two updates.
        drop: share of a layer's weights that the first update replaces.
        whole: layers of which the round has removed nothing: their masks never change.
        dense_first: whether training starts from a dense network, whatever the round's masks.
        settling: whether it stays dense until the masks of `update` settle, which it then gets for good.
    """

    update: Callable[[MaskUpdate], FlatMasks]
    begin: float
    end: float
    every: int
    drop: float
    whole: tuple[str, ...]
    dense_first: bool = False
    settling: bool = False


class TrainingPlan(NamedTuple):
    """Deviations of one training run from the study's settings; by default there are none.

    Attributes:
        first: the step that the start values belong to: steps `first + 1` to the last are trained, with the
            learning rates and images of these steps. The optimizer starts fresh, and so does
            the moving average of the setting `ema`.
        last_rate: whether every step uses the learning rate of the last one.
        mask_schedule: changes of the masks during training, or None.
        keep: the step after which a copy of the weights is kept, or None.
        group_lasso: strength of the penalty on units and filters (`penalties.group_lasso`).
        units: what `group_lasso` penalises: groups of layers that share units, {weight: unit (out,) of each
            row, -1 for rows that stay}.
        scale_l1: strength of the penalty on the scales of norms (`penalties.scale_l1`).
        head: names of the tensors that the first steps train, as many as the setting `freeze` says.
        moments: mean and standard deviation, from 0 to 255, that the images were normalised by; needed by the
            augmentation `rand-augment`.
    """

    first: int = 0
    last_rate: bool = False
    mask_schedule: MaskSchedule | None = None
    keep: int | None = None
    group_lasso: float = 0.0
    units: tuple[dict[str, NDArray[np.int64]], ...] = ()
    scale_l1: float = 0.0
    head: tuple[str, ...] = ()
    moments: tuple[float | list[float], float | list[float]] | None = None


def update_steps(begin: float, end: float, every: int, steps: int) -> range:
    """Return the steps after which masks change: every `every` steps between two shares of the training.

    With `begin` 0 the first of them is step 0, before which nothing is trained: it counts and never comes.
    At the last one, the share of weights that is replaced has fallen to zero.
    """
    first, last = round_half_up(begin * steps), round_half_up(end * steps)
    return range(first, last + 1, every)


def round_half_up(number: float) -> int:
    """Round to the nearest whole number, halves up."""
    return math.floor(number + 0.5)
