"""Is training stable? Linear paths between two trainings of one ticket that differ in their data order.

If the loss rises on the way, the order of the data decided which minimum was found, and rewinding to these
start values cannot be expected to find it again (Frankle et al. 2020, "Linear mode connectivity and the
lottery ticket hypothesis", section 2).
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from prunet.analysis.statistics import interval
from prunet.pruning.masks import Weights
from prunet.training import evaluation, gradients
from prunet.training.cells import Study

POINTS = 11  # on a path, with its two ends


def path(study: Study, first: Weights, second: Weights) -> pd.DataFrame:
    """Evaluate every network (N, *shape) on the straight line from its `first` to its `second` weights.

    Returns:
        A row for each network and point: `network`, `position` (0 at the first weights, 1 at the second),
        `loss` (nats) and `error` (0 to 1) on the validation split.
    """
    network = gradients.network(study.model, study.settings)
    rows: list[dict[str, Any]] = []
    for number in range(len(next(iter(first.values())))):
        for position in np.linspace(0, 1, POINTS):
            between = {
                name: torch.from_numpy(_between(values[number], second[name][number], position)[None])
                for name, values in first.items()
            }
            stack = {name: tensor.to(study.device) for name, tensor in between.items()}
            losses, accuracies = evaluation.evaluate(network, stack, study.splits["val"], study.size)
            rows.append(
                {"network": number, "position": position, "loss": losses[0], "error": 1 - accuracies[0]}
            )
    return pd.DataFrame(rows)


def _between(first: NDArray[Any], second: NDArray[Any], position: float) -> NDArray[Any]:
    return (first * (1 - position) + second * position).astype(first.dtype)


def barrier(values: "pd.Series[float]") -> float:
    """Return how far a path rises above the mean of its ends (Frankle et al. 2020, section 2); at least 0."""
    return float(values.max() - (values.iloc[0] + values.iloc[-1]) / 2)


def barriers(paths: pd.DataFrame) -> pd.DataFrame:
    """Return the barriers of `path` tables with columns `round` and `density`, a row for each round.

    Columns: `round`, `density`, and over networks `loss_mean`, `loss_ci95`, `error_mean`, `error_ci95`.
    """
    rows = []
    for (number, density), walked in paths.groupby(["round", "density"], sort=False):
        row = {"round": number, "density": density}
        for name in ("loss", "error"):
            heights = walked.groupby("network")[name].apply(barrier)
            row |= {f"{name}_mean": heights.mean(), f"{name}_ci95": interval(heights)}
        rows.append(row)
    return pd.DataFrame(rows)
