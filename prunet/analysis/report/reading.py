"""The tables of one study, as far as they can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from prunet.base import tables
from prunet.base.errors import InputError

# Required columns of each table. Optional ones are there if their stages have run, and may have no rows.
SUMMARY = (
    *("scheme", "round", "density", "replicates"),
    *("accuracy_mean", "accuracy_ci95", "early_stop_step_mean", "early_stop_step_ci95"),
)
METRICS: dict[str, tuple[str, ...]] = {
    "comparisons": (
        *("scheme", "round", "density", "against", "replicates", "verdict"),
        *("accuracy", "accuracy_ci95", "p_differs_holm", "early_stop_step"),
    ),
    "footprint": ("round", "density", "bytes_dense", "bytes_ticket"),
    "latency": ("density", "form", "batch", "device", "threads", "ms_median", "ms_low", "ms_high"),
    "quantised": ("density", "bits", "bytes", "times_smaller", "accuracy", "accuracy_dense"),
}
OPTIONAL: dict[str, tuple[str, ...]] = {
    "claims": (),
    "confusion": ("scheme", "round", "density", "count", "share"),
    "mistakes": ("scheme", "round", "image", "networks", "of"),
    "new_people": ("scheme", "round", "density"),
}
PLOT_DATA: dict[str, tuple[str, ...]] = {
    "curves": ("scheme", "epoch", "accuracy", "accuracy_ci95"),
    "layers": ("round",),
}


@dataclass(frozen=True)
class Study:
    """Parameters and tables of a study that a page shows.

    Attributes:
        params: the stage's parameters: `study`, `schemes` (their looks), `settings`, and of `report` the
            headline `scheme` and `round` and the `margin`.
        tables: those that could be read, by name; always `summary`.
        problems: a sentence for each table that could not.
        revision: its name, where a page shows several; otherwise empty.
    """

    params: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    problems: list[str]
    revision: str = ""

    @property
    def name(self) -> str:
        return str(self.params["study"])

    @property
    def is_of_faces(self) -> bool:
        """Whether its images are those of the stage resize."""
        return bool(self.params["settings"]["studies"][self.name]["data"]["set"] == "faces")

    def at_headline(self, table: str) -> pd.DataFrame:
        """Return the rows of a table at the headline scheme and round; none if there is no table."""
        rows = self.tables.get(table, pd.DataFrame(columns=["scheme", "round"]))
        headline: pd.DataFrame = rows[
            rows["scheme"].eq(self.params["scheme"]) & rows["round"].eq(self.params["round"])
        ]
        return headline

    def timed(self) -> dict[int, list[dict[str, Any]]]:
        """Return the rows of latency.csv on the processor by batch size; nothing if there are none."""
        found: dict[int, list[dict[str, Any]]] = {}
        if "latency" in self.tables:
            for row in records(self.tables["latency"]):
                if row["device"] == "cpu":
                    found.setdefault(int(row["batch"]), []).append(row)
        return found


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a table."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def read(params: Mapping[str, Any], metrics: Path, plot_data: Path, revision: str = "") -> Study:
    """Read the tables of a study.

    Args:
        params: see `Study`.
        metrics: the study's folder of metrics.
        plot_data: its folder with the tables of curves and layers.
        revision: see `Study`.

    Raises:
        InputError: there is no summary, without which there is nothing to show.
    """
    path, name = metrics / "summary.csv", params["study"]
    if not path.exists():
        where = f" at revision {revision}" if revision else f": {path} does not exist"
        raise InputError(f"Study {name} has no results{where}; run `dvc repro summarize@{name}`.")
    found, problems = {"summary": tables.read(path, SUMMARY)}, []
    optional = {table: columns for table, columns in OPTIONAL.items() if _has_rows(metrics / f"{table}.csv")}
    for folder, wanted in ((metrics, METRICS | optional), (plot_data, PLOT_DATA)):
        for table, columns in wanted.items():
            try:
                found[table] = tables.read(folder / f"{table}.csv", columns)
            except InputError as error:
                problems.append(error.message)
    return Study(params, found, problems, revision)


def _has_rows(path: Path) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") > 1
