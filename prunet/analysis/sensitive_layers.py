"""Validation accuracy of dense networks without some units of one group of layers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from prunet.analysis.statistics import interval
from prunet.base.progress import progress
from prunet.cells.masks import Weights
from prunet.pruning import validation
from prunet.training.trainer import Trainer


def by_layer(
    trainer: Trainer, weights: Weights, criterion: str, shares: Sequence[float], seed: int
) -> pd.DataFrame:
    """Measure the sensitivity of dense networks to pruning, on the validation split.

    Args:
        trainer: of the study.
        weights: (R, *shape) of every tensor.
        criterion: a key of `UNIT_CRITERIA`.
        shares: of a group's units to remove, 0 to 1.
        seed: of the random criterion.

    Returns:
        A row for each group and share, 0 first, in the order of the network: `layer` (the first of the
        group), `share`, `replicates`, and over these `accuracy_mean`, `accuracy_std` and `accuracy_ci95`.
    """
    found = [
        validation.measure(trainer, weights, {}, replicate, criterion=criterion, seed=seed, shares=shares)
        for replicate in progress(range(trainer.replicates), desc="sensitivity", unit="network")
    ]
    rows = []
    for group in found[0].scores:
        scores = np.array([[own.whole, *own.scores[group]] for own in found])
        for share, column in zip((0.0, *found[0].shares), scores.T, strict=True):
            values = pd.Series(column)
            spread = {"accuracy_std": values.std(), "accuracy_ci95": interval(values)}
            row = {"layer": group, "share": share, "replicates": len(values), "accuracy_mean": values.mean()}
            rows.append(row | spread)
    return pd.DataFrame(rows)
