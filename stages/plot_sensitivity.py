"""Stage `plot_sensitivity`: the figure of the layers' sensitivity to pruning. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, sensitivity_figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

COLUMNS = ("layer", "share", "accuracy_mean", "accuracy_ci95")


@click.command()
@PARAMS
@paths("sensitivity_csv", "output")
def main(params: dict[str, Any], sensitivity_csv: Path, output: Path) -> None:
    """Draw accuracy.png, by the layer that is pruned, in OUTPUT from SENSITIVITY_CSV."""
    table = tables.read(sensitivity_csv, COLUMNS)
    title = f"{params['study']}: one layer pruned, without retraining"
    canvas.save_all({"accuracy": sensitivity_figures.accuracy_by_layer(table, title)}, output)


if __name__ == "__main__":
    run_and_exit(main)
