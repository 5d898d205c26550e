"""Stability of training: linear paths between two runs of one ticket that differ in their data order.

If the loss rises along the path, the data order decided which minimum was found, and rewinding to these start
values cannot be expected to find it again (Frankle et al. 2020, "Linear mode connectivity and the lottery
ticket hypothesis", section 2).
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from prunet.analysis.statistics import interval
from prunet.cells.masks import Weights
from prunet.training.trainer import Trainer

POINTS = 11  # of a path, including its two ends


def path(trainer: Trainer, first: Weights, second: Weights) -> pd.DataFrame:
    """Evaluate every network (N, *shape) on the straight line from its `first` to its `second` weights.

    The mean of two networks' running statistics is not that of the network between them, whose activations
    vary less: with the setting `recalibrate` they are measured anew at every point (Jordan et al. 2023,
    "REPAIR").

    Returns:
        A row for each network and point: `network`, `position` (0 at the first weights, 1 at the second),
        `loss` (nats) and `error` (0 to 1) on the validation split.
    """
    rows: list[dict[str, Any]] = []
    for number in range(len(next(iter(first.values())))):
        for position in np.linspace(0, 1, POINTS):
            between = {
                name: torch.as_tensor(_between(values[number], second[name][number], position))
                for name, values in first.items()
            }
            loss, accuracy = trainer.evaluate(between, "val")
            rows.append({"network": number, "position": position, "loss": loss, "error": 1 - accuracy})
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
    for (number, density), points in paths.groupby(["round", "density"], sort=False):
        row = {"round": number, "density": density}
        for name in ("loss", "error"):
            heights = points.groupby("network")[name].apply(barrier)
            row |= {f"{name}_mean": heights.mean(), f"{name}_ci95": interval(heights)}
        rows.append(row)
    return pd.DataFrame(rows)
