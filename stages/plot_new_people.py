"""Stage `plot-new-people`: the figures of the verification of new people. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, new_people_figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

TABLE = ("scheme", "round", "density", "accuracy_mean", "true_accepts_mean", "false_accepts")
ROC = ("scheme", "round", "density", "false_accepts", "true_accepts")


@click.command()
@PARAMS
@paths("new_people_csv", "roc_csv", "output")
def main(params: dict[str, Any], new_people_csv: Path, roc_csv: Path, output: Path) -> None:
    """Draw new_people.png and roc.png in OUTPUT from the tables of the stage new-people."""
    study = params["study"]
    table, curves = tables.read(new_people_csv, TABLE), tables.read(roc_csv, ROC)
    drawn = {
        "new_people": new_people_figures.by_density(
            table[table["scheme"] != "dense"], f"{study}: people whom the networks never saw"
        ),
        "roc": new_people_figures.roc(curves, f"{study}: two photos of new people"),
    }
    canvas.save_all(drawn, output)


if __name__ == "__main__":
    run_and_exit(main)
