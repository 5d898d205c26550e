"""Accuracy of dense networks pruned once, by several criteria to several sparsities, without retraining."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from prunet.analysis.statistics import interval
from prunet.base.progress import progress
from prunet.cells.masks import Masks, Weights, density
from prunet.pruning.rounds import TrainedNetworks, prune
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.training.trainer import Trainer


def sweep(
    trainer: Trainer,
    networks: TrainedNetworks,
    criteria: Sequence[str],
    sparsities: Sequence[float],
    size: Callable[[Weights, Masks], int],
    pace: Mapping[str, float],
    **how: Any,
) -> pd.DataFrame:
    """Prune dense networks once by every criterion to every sparsity, and test them without retraining.

    Args:
        trainer: of the study. Its test split is read, and chooses nothing.
        networks: R dense networks.
        criteria: keys of `CRITERIA` and `UNIT_CRITERIA`.
        sparsities: share of each layer's weights, or units, to remove, 0 to 1.
        size: returns the bytes on disk of one pruned network (*shape).
        pace: {layer: rounds at the common rate that one at its own equals} (`rates.pace`), of layers with
            their own rate. They lose what they lose in the rounds in which the others reach the sparsity.
        how: the other arguments of `rounds.prune`.

    Returns:
        A row for each pair: `criterion`, `sparsity`, `density` (of all weights, 0 to 1), `replicates`,
        `accuracy_mean`, `accuracy_std` and `accuracy_ci95` over replicates, `bytes_ticket` of the first.
    """
    rows = []
    for criterion in progress(criteria, desc="sweep", unit="criterion"):
        for sparsity in sparsities:
            own = {name: 1 - (1 - sparsity) ** rounds for name, rounds in pace.items()}
            masks = prune(
                networks, schedule="iterative", number=1, rate=sparsity, own=own, criterion=criterion, **how
            )
            weights = _masked(trainer, networks.weights, masks, criterion in UNIT_CRITERIA)
            accuracies = pd.Series(_accuracies(trainer, weights), dtype=float)
            rows.append(
                {
                    "criterion": criterion,
                    "sparsity": sparsity,
                    "density": density(masks),
                    "replicates": len(accuracies),
                    "accuracy_mean": accuracies.mean(),
                    "accuracy_std": accuracies.std(),
                    "accuracy_ci95": interval(accuracies),
                    "bytes_ticket": size(_first(weights), _first(masks)),
                }
            )
    return pd.DataFrame(rows)


def _masked(trainer: Trainer, weights: Weights, masks: Masks, whole_units: bool) -> Weights:
    if whole_units:
        masks = masks | trainer.dependents(masks)
    return {name: values * masks[name] if name in masks else values for name, values in weights.items()}


def _accuracies(trainer: Trainer, weights: Weights) -> list[float]:
    networks = (
        {name: torch.as_tensor(values[number]) for name, values in weights.items()}
        for number in range(trainer.replicates)
    )
    return [trainer.evaluate(network, "test")[1] for network in networks]


def _first(arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: values[0] for name, values in arrays.items()}
