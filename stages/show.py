"""Command `show`: print the results of a run, or watch one."""

import shutil
import sys
import time
from pathlib import Path

import click
import pandas as pd

from prunet.analysis import comparisons, terminal
from prunet.base import files, tables
from prunet.base.errors import InputError
from prunet.base.options import CHECKPOINTS
from prunet.deployment.crossover import crossover, sentence
from prunet.training.convergence import guessing_warning

COLUMNS = f"{'study':<10}{'scheme':<16}{'density':>8}{'accuracy':>17}{'last step':>11}"
HEADER = f"{COLUMNS}{'early stop':>12}{'falling':>9}"


@click.command()
@click.argument("params_folder", metavar="[PARAMS]", type=click.Path(path_type=Path), default="data/params")
@click.argument("metrics", type=click.Path(path_type=Path), default="metrics")
@click.option(
    "--watch", is_flag=True, help="Draw the learning curves of the training that runs, until Ctrl-C."
)
@CHECKPOINTS
def main(params_folder: Path, metrics: Path, watch: bool, checkpoints: Path) -> None:
    """Print the results of every study of PARAMS, from the tables below METRICS.

    The table has the dense networks and every scheme at the headline round. accuracy: on the test split at
    the early stop, mean over replicates and its 95% confidence interval; last step: the same after the last
    training step; early stop: the training step with the lowest validation loss; falling: the share
    of networks whose validation loss still falls at the last step: train longer. Below it, the studies
    whose dense networks guess, the sparsest winning tickets, and the densities at which pruned networks are
    faster than dense ones.
    """
    if watch:
        draw_curves(checkpoints)
        return
    studies = {
        path.parent.name: files.read_json(path) for path in sorted(params_folder.glob("*/summarize.json"))
    }
    if not studies:
        raise InputError(f"{params_folder} has no study; run `dvc repro` first.")
    click.echo(HEADER)
    warnings = []
    for study, params in studies.items():
        table = tables.read(metrics / study / "summary.csv")
        shown = table[(table["scheme"] == "dense") | (table["round"] == params["report"]["round"])]
        for _, row in shown.iterrows():
            click.echo(f"{study:<10}{_line(row)}")
            if row["scheme"] == "dense" and row.get("guesses", 0) > 0:
                count = round(row["guesses"] * row["networks"])
                warnings.append(guessing_warning(study, count, row["networks"]))
    for warning in filter(None, warnings):
        click.echo(warning)
    for study, params in studies.items():
        if "original" in params["schemes"] and len(params["rounds"]) > 1:
            compared = tables.read(metrics / study / "comparisons.csv", ["verdict"])
            click.echo(f"{study}: {comparisons.sentence(compared, params['report']['margin'])}")
    for study in studies:
        rows = tables.read(metrics / study / "latency.csv").query("device == 'cpu'")
        found = {int(batch): crossover(part.to_dict("records")) for batch, part in rows.groupby("batch")}
        click.echo(f"{study}: {sentence(found)}")
    click.echo("Reports: plots/*/report.html. Figures: plots/*/figures/*.png. Tables: metrics/*/summary.csv.")


def draw_curves(checkpoints: Path) -> None:
    """Draw the curves that were written last: on a terminal whenever they change, otherwise once."""
    drawn: tuple[Path, int] | None = None
    while path := terminal.newest(checkpoints):
        written = path, path.stat().st_size
        if written != drawn:
            drawn, (width, height) = written, shutil.get_terminal_size()
            title = f"{path.parent.name}: validation accuracy (%)"
            figure = terminal.draw(terminal.read(path), title, width, height - terminal.MOST - 2)
            click.clear()
            click.echo(figure)
        if not sys.stdout.isatty():
            return
        time.sleep(1)
    raise InputError(f"nothing has trained yet in {checkpoints}; run `dvc repro` in another terminal.")


def _line(row: "pd.Series[float]") -> str:
    spread = "" if pd.isna(row["accuracy_ci95"]) else f" ± {row['accuracy_ci95']:.1%}"
    falling = "" if pd.isna(row["still_falling"]) else f"{row['still_falling']:.0%}"
    return (
        f"{row['scheme']:<16}{row['density']:>8.1%}{row['accuracy_mean']:>9.1%}{spread:<8}"
        f"{row['final_accuracy_mean']:>11.1%}{row['early_stop_step_mean']:>12.0f}{falling:>9}"
    )


if __name__ == "__main__":
    main()
