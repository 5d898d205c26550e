"""Stage `plot-compress`: accuracy of combinations of compression steps by what they cost. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, pareto_figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

COLUMNS = ("combination", "accuracy_mean", "accuracy_ci95", "val_accuracy_mean", "bytes", "macs", "ms_median")


@click.command()
@PARAMS
@paths("pareto_csv", "output")
def main(params: dict[str, Any], pareto_csv: Path, output: Path) -> None:
    """Draw bytes.png, macs.png and ms_median.png in OUTPUT from PARETO_CSV."""
    table = tables.read(pareto_csv, COLUMNS)
    canvas.save_all(pareto_figures.figures(table, f"{params['study']}: compressed"), output)


if __name__ == "__main__":
    run_and_exit(main)
