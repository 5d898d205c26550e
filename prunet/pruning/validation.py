"""Sensitivity of a study's trained networks to pruning, on the validation split."""

from collections.abc import Sequence

import torch
from torch import nn

from prunet.cells.masks import Masks, Weights
from prunet.models.state import load_state, state
from prunet.pruning.sensitivity import SHARES, Sensitivity, sensitivity
from prunet.training.trainer import Trainer


def measure(
    trainer: Trainer,
    weights: Weights,
    masks: Masks,
    replicate: int,
    *,
    criterion: str,
    seed: int,
    shares: Sequence[float] = SHARES,
) -> Sensitivity:
    """Measure the validation accuracy of one network without some units of one group at a time.

    Args:
        trainer: of the study.
        weights: (R, *shape) of every tensor.
        masks: (R, *shape) of every layer; the shares are of the units that survive.
        replicate: number of the network.
        criterion: a key of `UNIT_CRITERIA`.
        seed: of the random criterion.
        shares: of a group's units to remove, 0 to 1.
    """

    def accuracy(model: nn.Module) -> float:
        return trainer.evaluate(state(model), "val")[1]

    model, example = trainer.build(), torch.zeros(2, *trainer.shape)
    load_state(model, {name: values[replicate] for name, values in weights.items()})
    before = {name: torch.from_numpy(mask[replicate]) for name, mask in masks.items()}
    how = {"shares": shares, "criterion": criterion, "seed": seed, "attention": trainer.study["attention"]}
    return sensitivity(model, example, accuracy, masks=before, **how)
