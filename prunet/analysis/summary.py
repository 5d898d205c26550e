"""Tables over the cells of a study: means, spreads and confidence intervals over replicates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from prunet.analysis.statistics import interval
from prunet.base.shares import wilson

# (scheme, round): result of the cell. The dense networks are scheme "dense", round "00".
Results = dict[tuple[str, str], dict[str, Any]]

# name in the tables: path of the value in a network's result
MEASURED = {
    "accuracy": "early.test_accuracy",
    "loss": "early.test_loss",
    "early_stop_step": "early_stop_step",
    "final_accuracy": "final.test_accuracy",
    "final_loss": "final.test_loss",
}


def summarize(results: Results, test_images: int) -> pd.DataFrame:
    """Return one row for each scheme and round; `test_images` is the number of images of the test split.

    Columns: `scheme`, `round`, `density` (0 to 1), `replicates`, `networks` (replicates times draws), and
    `*_mean`, `*_std` (sample standard deviation) and `*_ci95` (half the width of the mean's 95% confidence
    interval) over replicates of `accuracy` (0 to 1) and `loss` (nats) on the test split at the early stop,
    `early_stop_step`, and `final_accuracy` and `final_loss` at the last step. Draws of one replicate share a
    mask and are not independent: they are averaged first. A single replicate has no spread (NaN).
    All this is about other seeds on the same `test_images`. `accuracy_low` and `accuracy_high` are about
    other images: the 95% interval of the mean accuracy as a share of so many images (Wilson 1927). Where
    networks err on different images it is too wide, never too narrow.
    `still_falling` is the share of networks whose validation loss still falls at the last step, or NaN;
    `guesses` that of networks not clearly better on the test split than always its largest class; `explored`
    the mean share of the weights that were ever trained, NaN for schemes whose masks stay; `pruned_at` the
    mean step after which networks got their masks, NaN for schemes whose masks do not settle. `processor`
    and `torch`, PyTorch's release, say what trained them.
    """
    rows = []
    for (scheme, number), result in results.items():
        row: dict[str, Any] = {"scheme": scheme, "round": number, "density": result["density"]}
        row["replicates"] = len({network["replicate"] for network in result["networks"]})
        row["networks"] = len(result["networks"])
        for name in ("still_falling", "guesses", "explored", "pruned_at"):
            known = [network.get(name) for network in result["networks"]]
            row[name] = pd.Series(known, dtype=float).mean()
        for name in MEASURED:
            values = by_replicate(result, name)
            row[f"{name}_mean"], row[f"{name}_std"] = values.mean(), values.std()
            row[f"{name}_ci95"] = interval(values)
        row["test_images"] = test_images
        row["accuracy_low"], row["accuracy_high"] = wilson(row["accuracy_mean"], test_images)
        rows.append(row | {name: result.get(name) for name in ("processor", "torch")})
    return pd.DataFrame(rows)


def by_replicate(result: dict[str, Any], name: str) -> "pd.Series[float]":
    """Return one of `MEASURED` for each replicate of a cell, averaged over its draws."""
    networks = pd.json_normalize(result["networks"])
    return networks[MEASURED[name]].astype(float).groupby(networks["replicate"]).mean()


def validation_accuracy(result: dict[str, Any]) -> "pd.Series[float]":
    """Return the validation accuracy at the early stop for each replicate, averaged over its draws."""
    networks = pd.DataFrame(result["networks"])
    early = [
        curve["val_accuracy"][curve["step"].index(step)]
        for curve, step in zip(networks["curve"], networks["early_stop_step"], strict=True)
    ]
    return pd.Series(early, dtype=float).groupby(networks["replicate"]).mean()


def report(
    summary: pd.DataFrame, headline: Mapping[str, Any], winner: "pd.Series[Any] | None"
) -> dict[str, Any]:
    """Return the metrics of a study, nested by scheme so that `dvc metrics` lists the schemes together.

    Args:
        summary: table of `summarize`.
        headline: `round` that is reported, and `scheme` whose density is.
        winner: row of the sparsest winning ticket (`comparisons.winning_ticket`), if there is one.

    Returns:
        `density`; `winner`, its `density`, and its test accuracy minus that of the dense networks as
        `accuracy` with `accuracy_ci95`; and for `dense` and every scheme {`accuracy`, `early_stop_step`}, the
        means over replicates at that round, and `still_falling`, a share of networks or None.
    """
    reported = summary[(summary["scheme"] == "dense") | (summary["round"] == headline["round"])]
    rows = reported.set_index("scheme")
    return {
        "density": _rounded(rows.at[headline["scheme"], "density"]),
        "winner": None
        if winner is None
        else {name: _rounded(winner[name]) for name in ("density", "accuracy", "accuracy_ci95")},
    } | {
        str(scheme): {
            "accuracy": _rounded(row["accuracy_mean"]),
            "early_stop_step": _rounded(row["early_stop_step_mean"]),
            "still_falling": _rounded(row["still_falling"]),
        }
        for scheme, row in rows.iterrows()
    }


def _rounded(value: Any) -> float | None:
    return None if pd.isna(value) else round(float(value), 6)


def curves(results: Results, schemes: Sequence[str], number: str) -> pd.DataFrame:
    """Return validation accuracy by epoch at one round.

    Columns: `scheme`, `step`, `epoch`, and over replicates `accuracy` (mean, 0 to 1), `accuracy_std` and
    `accuracy_ci95`. A scheme has a row for each step after which it was evaluated.
    """
    tables = []
    for scheme in schemes:
        result = results[scheme, number]
        steps = np.array(result["networks"][0]["curve"]["step"])
        drawn = pd.DataFrame([network["curve"]["val_accuracy"] for network in result["networks"]])
        replicates = np.array([network["replicate"] for network in result["networks"]])
        runs = drawn.groupby(replicates).mean()
        columns = {"scheme": scheme, "step": steps, "epoch": steps * result["epochs_per_step"]}
        spread = {"accuracy_std": runs.std(), "accuracy_ci95": runs.apply(interval)}
        tables.append(pd.DataFrame(columns | {"accuracy": runs.mean()} | spread))
    return pd.concat(tables, ignore_index=True)


def layer_densities(results: Results, scheme: str) -> pd.DataFrame:
    """Return the density (0 to 1) of every layer by round: `round`, then a column for each layer."""
    rows = [
        {"round": number} | result["layer_density"]
        for (owner, number), result in results.items()
        if owner == scheme
    ]
    return pd.DataFrame(rows)
