"""Stage `plot_sweep`: the figures of a sweep. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, sweep_figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

COLUMNS = ("sparsity", "accuracy_mean", "accuracy_ci95", "bytes_ticket")


@click.command()
@PARAMS
@paths("sweep_csv", "output")
def main(params: dict[str, Any], sweep_csv: Path, output: Path) -> None:
    """Draw accuracy.png and bytes.png, by sparsity, in OUTPUT from SWEEP_CSV."""
    table = tables.read(sweep_csv, COLUMNS)
    title = f"{params['study']}: pruned once, without retraining"
    drawn = {
        "accuracy": sweep_figures.accuracy_by_sparsity(table, params["published"], title),
        "bytes": sweep_figures.bytes_by_sparsity(table, title),
    }
    canvas.save_all(drawn, output)


if __name__ == "__main__":
    run_and_exit(main)
