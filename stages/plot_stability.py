"""Stage `plot_stability`: the figure of the loss barriers. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

COLUMNS = ("start", "round", "density", "loss_mean", "loss_ci95", "error_mean", "error_ci95")


@click.command()
@PARAMS
@paths("stability_csv", "output")
def main(params: dict[str, Any], stability_csv: Path, output: Path) -> None:
    """Draw barriers.png, loss and error barriers by density, in OUTPUT from STABILITY_CSV."""
    table = tables.read(stability_csv, COLUMNS)
    canvas.save_all({"barriers": figures.barriers(table, f"{params['study']}: stability")}, output)


if __name__ == "__main__":
    run_and_exit(main)
