"""Stability of training: linear paths between two runs of one ticket that differ in their data order.

If the loss rises along the path, the data order decided which minimum was found, and rewinding to these start
values cannot be expected to find it again (Frankle et al. 2020, "Linear mode connectivity and the lottery
ticket hypothesis", section 2). The start values may come from any step of the dense training. If the step is
late enough, there is no barrier; large networks need a later step than small ones (section 3).
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from prunet.analysis.statistics import interval
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.cells.masks import Weights
from prunet.training.cells import Cell, Job, contents, key
from prunet.training.plan import TrainingPlan
from prunet.training.trainer import Trainer

POINTS = 11  # of a path, including its two ends


def snapshot(trainer: Trainer, init: Path, data: str, step: int) -> Path:
    """Run the dense training once more; return the file of its weights (R, *shape) after a step.

    Args:
        trainer: of the study.
        init: file of the weights at step 0.
        data: the `contents` of the dataset file.
        step: from 1 to the last.
    """

    def job() -> Job:
        masks = trainer.dense_masks()
        return Job(storage.load_weights(init), masks, ("init",), trainer.dense_plan(keep=step))

    name = key(trainer.study | {"rewind": step}, [data, contents(init)], ["prunet/analysis/stability.py"])
    (folder,) = trainer.train([Cell(f"stability/dense-to-{step}", name, trainer.replicates, job)])
    return folder / "kept.safetensors"


def two_runs(
    trainer: Trainer, rounds: Sequence[Path], start: Path, data: str, step: int
) -> list[tuple[Path, Path]]:
    """Train the masks of some rounds from the same values, with the study's data order and with another one.

    As in scheme `rewind`, training resumes after the step of these values, with the learning rates of the
    steps that follow.

    Args:
        trainer: of the study.
        rounds: folders of its scheme `original`. From step 0 their networks are the first of the two runs.
        start: file of the dense weights (R, *shape) after the step.
        data: the `contents` of the dataset file.
        step: from 0 to the last.

    Returns:
        The folders of both runs, for each round.
    """
    values = storage.load_weights(start)

    def cell(own: Trainer, order: str, folder: Path) -> Cell:
        def job() -> Job:
            masks = storage.load_masks(folder / "masks.safetensors")
            whole = storage.whole_units(folder / "masks.safetensors")
            plan = TrainingPlan() if int(folder.name) else own.dense_plan()
            return Job(values, masks, ("init",), plan._replace(first=step), whole)

        made_from = [data, contents(start), contents(folder)]
        name = key(own.study | {"first": step}, made_from, ["prunet/analysis/stability.py"])
        return Cell(f"stability/{step}/{order}/{folder.name}", name, own.replicates, job)

    other = _another_order(trainer)
    first = list(rounds)
    if step:
        first = trainer.train([cell(trainer, "same-order", folder) for folder in rounds])
    second = other.train([cell(other, "another-order", folder) for folder in rounds])
    return list(zip(first, second, strict=True))


def _another_order(trainer: Trainer) -> Trainer:
    """Return a trainer on the same data whose seeds of a run are others; its start values are given."""
    other = copy.copy(trainer)
    other.seed = derive(trainer.seed, "another order")
    other.study = trainer.study | {"seed": other.seed}
    return other


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
    """Return the barriers of `path` tables with columns `start`, `round` and `density`, a row for each pair.

    Columns: `start` (the step that both runs start from), `round`, `density`, and over networks `loss_mean`,
    `loss_ci95`, `error_mean`, `error_ci95`.
    """
    rows = []
    for (start, number, density), points in paths.groupby(["start", "round", "density"], sort=False):
        row = {"start": start, "round": number, "density": density}
        for name in ("loss", "error"):
            heights = points.groupby("network")[name].apply(barrier)
            row |= {f"{name}_mean": heights.mean(), f"{name}_ci95": interval(heights)}
        rows.append(row)
    return pd.DataFrame(rows)
