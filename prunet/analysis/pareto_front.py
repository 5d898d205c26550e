"""The Pareto front of combinations of compression steps: accuracy on validation images by a cost."""

import pandas as pd

COSTS = ("bytes", "macs", "ms_median")


def front(compared: pd.DataFrame, cost: str) -> list[str]:
    """Return the combinations at which no cheaper one is as accurate on validation images, cheapest first."""
    best, names = -1.0, []
    ordered = compared.sort_values([cost, "val_accuracy_mean"], ascending=[True, False])
    for row in ordered.to_dict("records"):
        if row["val_accuracy_mean"] > best:
            best = row["val_accuracy_mean"]
            names.append(str(row["combination"]))
    return names
