"""Paired comparisons of every scheme with the dense networks and with random values; the winning ticket."""

import math
from typing import Any

import pandas as pd

from prunet.analysis.statistics import paired
from prunet.analysis.summary import Results, by_replicate

COLUMNS = ["scheme", "round", "density", "against", "accuracy", "accuracy_ci95"]
COLUMNS += ["early_stop_step", "early_stop_step_ci95", "early_stop_ratio"]


def compare(results: Results) -> pd.DataFrame:
    """Compare every scheme and round with the dense networks and with scheme `random` at the same round.

    Pairs with a missing side are left out, and so are pairs of one and the same training.

    Args:
        results: result of every cell; the dense networks are scheme `dense`, round `00`.

    Returns:
        A row for each pair: `scheme`, `round`, `density`, `against` (`dense` or `random`); the mean
        differences by replicate, each with `*_ci95`, `accuracy` (at the early stop, 0 to 1) and
        `early_stop_step`; and `early_stop_ratio`, the other side's mean early stop divided by this one's.
    """
    rows = []
    for (scheme, number), result in results.items():
        if scheme == "dense":
            continue
        for against, other in (("dense", ("dense", "00")), ("random", ("random", number))):
            if other not in results or results[other] == result:
                continue
            row: dict[str, Any] = {"scheme": scheme, "round": number, "density": result["density"]}
            row["against"] = against
            accuracies, stops = (
                [by_replicate(cell, name) for cell in (result, results[other])]
                for name in ("accuracy", "early_stop_step")
            )
            row["accuracy"], row["accuracy_ci95"] = paired(*accuracies)
            row["early_stop_step"], row["early_stop_step_ci95"] = paired(*stops)
            row["early_stop_ratio"] = stops[1].mean() / stops[0].mean() if stops[0].any() else math.nan
            rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def winning_ticket(comparisons: pd.DataFrame) -> "pd.Series[Any] | None":
    """Return the row of the sparsest winning ticket, or None if there is none.

    A round of scheme `original` wins if its test accuracy at the early stop is not below the dense networks'
    by more than the 95% interval of the paired difference, and its mean early stop is not later (Frankle &
    Carbin 2019, section 1: commensurate accuracy and training time). It is determined after all training and
    chooses nothing.
    """
    tickets = comparisons[(comparisons["scheme"] == "original") & (comparisons["against"] == "dense")]
    not_worse = tickets["accuracy"] + tickets["accuracy_ci95"].fillna(0) >= 0
    winning = tickets[not_worse & (tickets["early_stop_step"] <= 0)]
    return winning.sort_values("density").iloc[0] if len(winning) else None
