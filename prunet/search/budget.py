"""A budget, and the choice within it: validation accuracy decides."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from prunet.analysis.comparisons import verdict
from prunet.analysis.statistics import holm
from prunet.base.errors import InputError
from prunet.search.grid import Point

COLUMNS = {"bytes": "bytes", "macs": "macs", "ms": "ms_median"}  # of pareto.csv

Budget = Mapping[str, float]  # the most of each cost, e.g. {"bytes": 20000}


class Trial(NamedTuple):
    """A point that was tried: its row of pareto.csv, or why it failed."""

    point: Point
    row: Mapping[str, Any]
    fault: str = ""


def parse(texts: Sequence[str]) -> dict[str, float]:
    """Return the budget of texts like `bytes=20000`.

    Raises:
        InputError: a text is not a known cost with a positive number.
    """
    budget = {}
    for text in texts:
        cost, _, value = text.partition("=")
        if cost not in COLUMNS:
            raise InputError(
                f"--at-most {text}: {cost!r} is not a cost; choose among {', '.join(COLUMNS)}, "
                "e.g. bytes=20000."
            )
        try:
            budget[cost] = float(value)
        except ValueError:
            raise InputError(
                f"--at-most {text}: {value!r} is not a number; write e.g. {cost}=20000."
            ) from None
        if not 0 < budget[cost] < math.inf:
            raise InputError(f"--at-most {text}: the budget must be above 0.")
    return budget


def excess(row: Mapping[str, Any], budget: Budget) -> dict[str, float]:
    """Return by how much a row exceeds each part of the budget, as a share of it; negative below it."""
    return {cost: float(row[COLUMNS[cost]]) / most - 1 for cost, most in budget.items()}


def fits(trial: Trial, budget: Budget) -> bool:
    """Return whether a trial succeeded within the budget."""
    return not trial.fault and all(share <= 0 for share in excess(trial.row, budget).values())


def ranked(trials: Sequence[Trial], budget: Budget) -> list[Trial]:
    """Return the trials within the budget, the most accurate on validation images first.

    Of equally accurate ones, those that leave more of the budget come first.
    """

    def rank(trial: Trial) -> tuple[float, float]:
        return -trial.row["val_accuracy_mean"], sum(excess(trial.row, budget).values())

    return sorted((trial for trial in trials if fits(trial, budget)), key=rank)


def closest(trials: Sequence[Trial], budget: Budget) -> Trial | None:
    """Return the successful trial whose largest excess is smallest, or None if all failed."""
    measured = [trial for trial in trials if not trial.fault]
    return min(measured, key=lambda trial: max(excess(trial.row, budget).values()), default=None)


def not_worse(chosen: Trial, trials: Sequence[Trial]) -> str:
    """Return whether a trial that was chosen among others is shown to be not worse than the dense networks.

    The p values of all trials, each already corrected within its own experiment, are corrected again for the
    number of trials: the best of many looks good by chance.
    """
    p = pd.Series({str(trial.point): trial.row["p_not_worse_holm"] for trial in trials if not trial.fault})
    return verdict(int(chosen.row["replicates"]), float(holm(p)[str(chosen.point)]))
