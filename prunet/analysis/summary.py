"""Tables over cells: mean, spread and confidence interval over replicates for every scheme and round."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunet.analysis.statistics import interval
from prunet.base.errors import InputError
from prunet.base.files import read_rows, reading, replacing

# (scheme, round): the cell's result. The dense networks are scheme "dense", round "00".
Results = dict[tuple[str, str], dict[str, Any]]

# name in the tables: path in a network's result
MEASURED = {
    "accuracy": ("early", "test_accuracy"),
    "loss": ("early", "test_loss"),
    "early_stop_step": ("early_stop_step",),
    "final_accuracy": ("final", "test_accuracy"),
    "final_loss": ("final", "test_loss"),
}

COSTS = ["bytes_dense", "bytes_gzip", "bytes_bound", "bytes_ticket"]
COSTS += ["memory_dense", "memory_sparse", "macs_dense", "macs_shrunk"]


def summarize(results: Results) -> pd.DataFrame:
    """Return one row for each scheme and round.

    Columns: `scheme`, `round`, `density` (0 to 1), `replicates`, `networks` (replicates times draws), and
    `*_mean`, `*_std` (sample standard deviation) and `*_ci95` (half the width of the mean's 95% confidence
    interval) over replicates of `accuracy` (0 to 1) and `loss` (nats) on the test split at the early stop,
    `early_stop_step`, and `final_accuracy` and `final_loss` at the last step. Several draws of one replicate
    are averaged first: they share a mask and are not independent. A single replicate has no spread.
    """
    rows = []
    for (scheme, number), result in results.items():
        row: dict[str, Any] = {"scheme": scheme, "round": number, "density": result["density"]}
        row["replicates"] = len({network["replicate"] for network in result["networks"]})
        row["networks"] = len(result["networks"])
        for name in MEASURED:
            values = by_replicate(result, name)
            row[f"{name}_mean"], row[f"{name}_std"] = values.mean(), values.std()
            row[f"{name}_ci95"] = interval(values)
        rows.append(row)
    return pd.DataFrame(rows)


def by_replicate(result: dict[str, Any], name: str) -> "pd.Series[float]":
    """Return one of `MEASURED` for each replicate of a cell, the mean over its draws."""
    values = [_dig(network, MEASURED[name]) for network in result["networks"]]
    return pd.Series(values, dtype=float).groupby(_replicates(result)).mean()


def _replicates(result: dict[str, Any]) -> NDArray[np.int64]:
    return np.array([network["replicate"] for network in result["networks"]])


def _dig(result: Any, path: tuple[str, ...]) -> float:
    for key in path:
        result = result[key]
    return float(result)


def headline(summary: pd.DataFrame, scheme: str, number: str) -> dict[str, float]:
    """Return the means of one scheme and round, flat."""
    row = summary[(summary["scheme"] == scheme) & (summary["round"] == number)].iloc[0]
    means = {name: row[f"{name}_mean"] for name in MEASURED}
    return {name: round(float(value), 6) for name, value in (means | {"density": row["density"]}).items()}


def footprint_headline(footprint: pd.DataFrame, number: str) -> dict[str, float]:
    """Return what a round costs, flat: bytes, operations and the first batch's times of `footprint.csv`."""
    row = footprint[footprint["round"] == number].iloc[0]
    times = [next(name for name in row.index if name.startswith(start)) for start in ("ms_dense", "ms_best")]
    return {name: round(float(row[name]), 4) for name in (*COSTS, *times)}


def curves(results: Results, schemes: list[str], number: str) -> pd.DataFrame:
    """Return validation accuracy by epoch at one round: each scheme's mean, `*_std` and `*_ci95`.

    A scheme that is not looked at after some step, or begins later, has nothing there.
    """
    columns = []
    for scheme in schemes:
        result = results[scheme, number]
        steps = result["networks"][0]["curve"]["step"]
        drawn = pd.DataFrame([network["curve"]["val_accuracy"] for network in result["networks"]])
        runs = drawn.groupby(_replicates(result)).mean()
        table = {scheme: runs.mean(), f"{scheme}_std": runs.std(), f"{scheme}_ci95": runs.apply(interval)}
        columns.append(pd.DataFrame(table).set_axis(pd.Index(steps, name="step")))
    together = pd.concat(columns, axis=1).sort_index().reset_index()
    together.insert(1, "epoch", together["step"] * results[schemes[0], number]["epochs_per_step"])
    return together


def by_density(summary: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return `column` of the summary by density, a column for each scheme, densest first."""
    schemes = summary[summary["scheme"] != "dense"]
    table = schemes.pivot(index=["density", "round"], columns="scheme", values=column)
    table = table.sort_index(ascending=[False, True]).rename_axis(columns=None)
    return table.reset_index().drop(columns="round")


def layer_densities(results: Results, scheme: str) -> pd.DataFrame:
    """Return the density (0 to 1) of every layer by round: `round`, then a column for each layer."""
    rows = [
        {"round": number} | result["layer_density"]
        for (owner, number), result in results.items()
        if owner == scheme
    ]
    return pd.DataFrame(rows)


def read(path: Path, columns: Sequence[str] = (), rounds: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that `write` wrote.

    Args:
        path: the file.
        columns: that it must have, with numbers in all but `scheme` and `round`; it may have more.
        rounds: that must have a row.

    Raises:
        InputError: the file does not exist, is cut off, or is no such table.
    """
    with reading(path):
        whole = path.read_bytes().endswith(b"\n")
    if not whole or not read_rows(path, columns):
        raise InputError(f"{path} is cut off: run the stage that writes it again.")
    table = pd.read_csv(path, dtype={"round": str})
    for column in columns:
        if column not in ("scheme", "round") and not pd.api.types.is_numeric_dtype(table[column]):
            raise InputError(f"{path}: {column} is not a number: run the stage that writes it again.")
    for number in rounds:
        if number not in set(table["round"]):
            raise InputError(f"{path} has no round {number}: run the stage that writes it again.")
    return table


def write(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with six significant digits, whole or not at all."""
    with replacing(path) as partial:
        table.to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
