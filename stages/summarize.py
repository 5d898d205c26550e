"""Stage `summarize`: tables and metrics of a study."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import comparisons, summary
from prunet.analysis.training_costs import training_steps
from prunet.base import files, tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import results
from prunet.data.images import dataset


@click.command()
@PARAMS
@paths("data", "models", "metrics", "plot_data")
def main(params: dict[str, Any], data: Path, models: Path, metrics: Path, plot_data: Path) -> None:
    """Summarize the results of all cells below MODELS, the folder of one study; DATA is its dataset file.

    METRICS gets report.json (the metrics that DVC compares: every scheme at the headline round, and the
    sparsest winning ticket), summary.csv (every scheme and round, with confidence intervals) and
    comparisons.csv (paired differences from the dense networks and from scheme `random`, with verdicts).
    PLOT_DATA gets curves.csv (validation accuracy by epoch at the headline round) and layers.csv (layer
    densities by round).
    """
    schemes, headline = params["schemes"], params["report"]
    measured = results.read_study(models, schemes, params["rounds"])
    table = summary.summarize(measured, dataset.count(data, "test"))
    costs = training_steps(measured, **{key: params[key] for key in ("chain", "before", "once")})
    table["training_steps"] = [costs.get(cell) for cell in zip(table["scheme"], table["round"], strict=True)]
    compared = comparisons.compare(measured, headline["margin"])
    winner = comparisons.winning_ticket(compared)
    files.write_json(metrics / "report.json", summary.report(table, headline, winner))
    tables.write(metrics / "summary.csv", table)
    tables.write(metrics / "comparisons.csv", compared)
    tables.write(plot_data / "curves.csv", summary.curves(measured, schemes, headline["round"]))
    tables.write(plot_data / "layers.csv", summary.layer_densities(measured, headline["scheme"]))


if __name__ == "__main__":
    run_and_exit(main)
