"""Tables over cells: mean and spread over replicates for every scheme and round."""

from pathlib import Path
from typing import Any

import pandas as pd

from prunet.base.errors import InputError
from prunet.base.files import replacing

Results = dict[tuple[str, str], dict[str, Any]]  # (scheme, round): the cell's result

# name in the tables: path in a replicate's result
MEASURED = {
    "accuracy": ("early", "test_accuracy"),
    "loss": ("early", "test_loss"),
    "early_stop_step": ("early_stop_step",),
    "final_accuracy": ("final", "test_accuracy"),
    "final_loss": ("final", "test_loss"),
}


def summarize(results: Results) -> pd.DataFrame:
    """Return one row for each scheme and round.

    Columns: `scheme`, `round`, `density` (0 to 1), `replicates`, and `*_mean` and `*_std` over replicates
    (sample standard deviation; empty for a single replicate) of `accuracy` (0 to 1) and `loss` (nats) on the
    test split at the early stop, `early_stop_step`, and `final_accuracy` and `final_loss` at the last step.
    """
    rows = []
    for (scheme, number), result in results.items():
        row: dict[str, Any] = {"scheme": scheme, "round": number, "density": result["density"]}
        row["replicates"] = len(result["replicates"])
        for name, path in MEASURED.items():
            values = pd.Series([_dig(replicate, path) for replicate in result["replicates"]], dtype=float)
            row[f"{name}_mean"], row[f"{name}_std"] = values.mean(), values.std()
        rows.append(row)
    return pd.DataFrame(rows)


def _dig(result: Any, path: tuple[str, ...]) -> float:
    for key in path:
        result = result[key]
    return float(result)


def headline(summary: pd.DataFrame, scheme: str, number: str) -> dict[str, float]:
    """Return the means of one scheme and round, flat."""
    row = summary[(summary["scheme"] == scheme) & (summary["round"] == number)].iloc[0]
    means = {name: row[f"{name}_mean"] for name in MEASURED}
    return {name: round(float(value), 6) for name, value in (means | {"density": row["density"]}).items()}


def curves(results: Results, schemes: list[str], number: str) -> pd.DataFrame:
    """Return validation accuracy by epoch at one round: a column for each scheme's mean, and `*_std`."""
    table: dict[str, Any] = {}
    for scheme in schemes:
        result = results[scheme, number]
        runs = [pd.Series(run["curve"]["val_accuracy"]) for run in result["replicates"]]
        steps = pd.Series(result["replicates"][0]["curve"]["step"])
        table |= {"step": steps, "epoch": steps * result["epochs_per_step"]}
        together = pd.concat(runs, axis=1)
        table |= {scheme: together.mean(axis=1), f"{scheme}_std": together.std(axis=1)}
    return pd.DataFrame(table)


def by_density(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return `column` of the summary by density, a column for each scheme, densest first."""
    table = summary.pivot(index="density", columns="scheme", values=column)
    return table.sort_index(ascending=False).rename_axis(columns=None).reset_index()


def layer_densities(results: Results, scheme: str) -> pd.DataFrame:
    """Return the density (0 to 1) of every layer by round: `round`, then a column for each layer."""
    rows = [
        {"round": number} | result["layer_density"]
        for (owner, number), result in results.items()
        if owner == scheme
    ]
    return pd.DataFrame(rows)


def read(path: Path) -> pd.DataFrame:
    """Read a summary that `write` wrote.

    Raises:
        InputError: the file does not exist.
    """
    if not path.exists():
        raise InputError(f"{path} does not exist: run the stage summarize first.")
    return pd.read_csv(path, dtype={"round": str})


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with six significant digits, whole or not at all."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
