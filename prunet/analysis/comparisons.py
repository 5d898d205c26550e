"""Paired comparisons of every scheme with the dense networks and with random values; the winning ticket."""

import math
from typing import Any

import pandas as pd

from prunet.analysis.statistics import LEAST, holm, p_above, p_differs, paired
from prunet.analysis.summary import Results, by_replicate, validation_accuracy

LEVEL = 0.025  # of one-sided tests: the lower end of a 95% interval
TOO_FEW, NOT_WORSE, NOT_SHOWN = "too few replicates", "not worse", "not shown"

COLUMNS = ["scheme", "round", "density", "against", "replicates"]
COLUMNS += ["accuracy", "accuracy_ci95", "p_differs", "p_differs_holm"]
COLUMNS += ["val_accuracy", "val_accuracy_ci95", "p_not_worse", "p_not_worse_holm", "verdict"]
COLUMNS += ["early_stop_step", "early_stop_step_ci95", "early_stop_ratio"]


def compare(results: Results, margin: float) -> pd.DataFrame:
    """Compare every scheme and round with the dense networks and with scheme `random` at the same round.

    Pairs with a missing side are left out, and so are pairs of one and the same training.

    Args:
        results: result of every cell; the dense networks are scheme `dense`, round `00`.
        margin: percentage points of validation accuracy; a loss below it counts as none.

    Returns:
        A row for each pair: `scheme`, `round`, `density`, `against` (`dense` or `random`), `replicates`; the
        mean differences by replicate, each with `*_ci95`, `accuracy` and `val_accuracy` (test and validation
        split, at the early stop, 0 to 1) and `early_stop_step`; `p_differs`, the two-sided p value of the
        hypothesis that `accuracy` is 0; `p_not_worse`, the one-sided p value of the hypothesis that
        `val_accuracy` is at most minus the margin; each with `*_holm`, corrected for the number of rows with
        the same `against`; `verdict`, see `verdict`; and `early_stop_ratio`, the other side's mean early
        stop divided by this one's.
    """
    rows = []
    for (scheme, number), result in results.items():
        if scheme == "dense":
            continue
        for against, other in (("dense", ("dense", "00")), ("random", ("random", number))):
            if other not in results or results[other] == result:
                continue
            row: dict[str, Any] = {"scheme": scheme, "round": number, "density": result["density"]}
            rows.append(row | {"against": against} | _differences(result, results[other], margin))
    table = pd.DataFrame(rows, columns=COLUMNS)
    for name in ("p_differs", "p_not_worse"):
        table[f"{name}_holm"] = table.groupby("against")[name].transform(holm)
    table["verdict"] = [
        verdict(*row) for row in zip(table["replicates"], table["p_not_worse_holm"], strict=True)
    ]
    return table


def _differences(result: dict[str, Any], other: dict[str, Any], margin: float) -> dict[str, Any]:
    accuracies, stops = (
        [by_replicate(cell, name) for cell in (result, other)] for name in ("accuracy", "early_stop_step")
    )
    validation = [validation_accuracy(cell) for cell in (result, other)]
    row: dict[str, Any] = {"replicates": len(validation[0])}
    row["accuracy"], row["accuracy_ci95"] = paired(*accuracies)
    row["p_differs"] = p_differs(accuracies[0] - accuracies[1])
    row["val_accuracy"], row["val_accuracy_ci95"] = paired(*validation)
    row["p_not_worse"] = p_above(validation[0] - validation[1], -margin / 100)
    row["early_stop_step"], row["early_stop_step_ci95"] = paired(*stops)
    row["early_stop_ratio"] = stops[1].mean() / stops[0].mean() if stops[0].any() else math.nan
    return row


def verdict(replicates: int, p: float) -> str:
    """Return whether a cell is shown to be not worse; a wide interval shows nothing (non-inferiority).

    Args:
        replicates: of the cell.
        p: `p_not_worse_holm`.
    """
    if replicates < LEAST:
        return TOO_FEW
    return NOT_WORSE if p < LEVEL else NOT_SHOWN


def winning_ticket(comparisons: pd.DataFrame) -> "pd.Series[Any] | None":
    """Return the row of the sparsest winning ticket, or None if there is none.

    A round of scheme `original` wins if it is shown to be not worse than the dense networks, and its mean
    early stop is not later (Frankle & Carbin 2019, section 1: commensurate accuracy and training time). Both
    are measured on the validation split: the row's test accuracy chooses nothing.
    """
    tickets = _tickets(comparisons)
    winning = tickets[(tickets["verdict"] == NOT_WORSE) & (tickets["early_stop_step"] <= 0)]
    return winning.sort_values("density").iloc[0] if len(winning) else None


def sentence(comparisons: pd.DataFrame, margin: float) -> str:
    """Return the verdict on a study's tickets; `margin` as of `compare`."""
    if (_tickets(comparisons)["verdict"] == TOO_FEW).any():
        return f"Too few replicates to say whether a ticket wins: {LEAST} are needed."
    winner = winning_ticket(comparisons)
    count = int((comparisons["against"] == "dense").sum())
    rule = (
        f"less than {margin:g} points below dense on validation images, with Holm's correction for "
        f"{count} comparisons, and on average stopping no later"
    )
    if winner is None:
        return f"No round is shown to be a winning ticket ({rule})."
    difference, half = 100 * winner["accuracy"], 100 * winner["accuracy_ci95"]
    return (
        f"The sparsest winning ticket keeps {winner['density']:.1%} of the weights ({rule}). On test images "
        f"it differs from dense by {difference:+.2f} ± {half:.2f} points."
    )


def _tickets(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons[(comparisons["scheme"] == "original") & (comparisons["against"] == "dense")]
