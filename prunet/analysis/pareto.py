"""Combinations of compression steps: accuracy beside the dense networks', and the best at every cost."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from prunet.analysis.comparisons import verdict
from prunet.analysis.pareto_front import COSTS, front
from prunet.analysis.statistics import holm, interval, p_above, paired

DENSE = "dense"


def table(measured: Sequence[Mapping[str, Any]], margin: float) -> pd.DataFrame:
    """Compare every combination with the dense networks, replicate by replicate.

    Args:
        measured: rows of `compression.combinations.measure`, those of `dense` first.
        margin: percentage points of validation accuracy; a loss below it counts as none.

    Returns:
        A row for each combination: `combination`, `replicates`, `accuracy_mean` and `accuracy_ci95` (test
        split, 0 to 1), `val_accuracy_mean`, `difference` and `difference_ci95` (from dense on the test split,
        paired), `p_not_worse_holm` and `not_worse` (as `comparisons.verdict`, on the validation split; empty
        for dense), the costs of the first replicate, `times_smaller` and `times_faster` (than the file and
        the time of dense), and `best_by`: the costs at which no cheaper combination is as accurate on
        validation images.
    """
    rows = pd.DataFrame(measured)
    dense = rows[rows["combination"] == DENSE].set_index("replicate")
    whole = dict(measured[0])
    found = []
    for name, part in rows.groupby("combination", sort=False):
        own, first = part.set_index("replicate"), part.to_dict("records")[0]
        difference, half = paired(own["accuracy"], dense["accuracy"])
        found.append(
            {
                "combination": name,
                "replicates": len(own),
                "accuracy_mean": own["accuracy"].mean(),
                "accuracy_ci95": interval(own["accuracy"]),
                "val_accuracy_mean": own["val_accuracy"].mean(),
                "difference": difference,
                "difference_ci95": half,
                "p_not_worse": p_above(own["val_accuracy"] - dense["val_accuracy"], -margin / 100),
                **{
                    cost: first[cost]
                    for cost in ("bytes", "bytes_onnx", "macs", "ms_median", "ms_low", "ms_high")
                },
                "times_smaller": whole["bytes_onnx"] / first["bytes"],
                "times_faster": whole["ms_median"] / first["ms_median"],
            }
        )
    compared = pd.DataFrame(found)
    others = compared["combination"] != DENSE
    compared["p_not_worse_holm"] = holm(compared.pop("p_not_worse").where(others))
    verdicts = map(verdict, compared["replicates"], compared["p_not_worse_holm"])
    compared["not_worse"] = pd.Series(list(verdicts)).where(others, "")
    fronts = {cost: front(compared, cost) for cost in COSTS}
    compared["best_by"] = [
        " ".join(cost for cost, names in fronts.items() if name in names) for name in compared["combination"]
    ]
    return compared
