"""Command `search`: find the most accurate compression within a budget, by experiments of DVC."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.config import params
from prunet.search import budget, experiments, grid
from prunet.search.budget import Budget, Trial
from prunet.search.grid import Point
from prunet.search.search import search

SHOWN = 10  # trials in the table


@click.command()
@click.argument("study")
@click.option(
    "--at-most",
    "limits",
    metavar="COST=NUMBER",
    multiple=True,
    required=True,
    help="Budget: bytes, macs (multiply-adds of one image) or ms (its time on one core). Can be repeated.",
)
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="Settings to try; earlier experiments of this commit count, and are not run again.",
)
def main(study: str, limits: tuple[str, ...], trials: int) -> None:
    """Search for the most accurate compression of STUDY within a budget.

    Optuna chooses among compress.combinations of params.yaml and the values in compress.search. Every trial
    is an experiment of DVC in a copy of this checkout, whose own files stay as they are; `dvc exp show` lists
    them. Validation accuracy decides, and test accuracy is shown for the winner alone. After Ctrl-C, the same
    command resumes where it stopped.
    """
    most = budget.parse(limits)
    values = params.load(Path("params.yaml"))
    compress = checked(values, study)
    points, commit = grid.every(compress), experiments.baseline()
    tried = search(points, compress["search"], partial(measure, study, commit), most, trials, values["seed"])
    show(study, tried, len(points), most)


def checked(values: dict[str, Any], study: str) -> Any:
    """Return the block `compress`, in which the rounds of `search` exist, if there is the study.

    Raises:
        InputError: there is no such study or round.
    """
    if study not in values["studies"]:
        raise InputError(f"params.yaml has no study {study!r}: choose among {', '.join(values['studies'])}.")
    rounds = ["last", *(entry["n"] for entry in values["prune"]["rounds"])]
    for number in values["compress"]["search"]["round"]:
        if number not in rounds:
            raise InputError(
                f"params.yaml: compress.search.round has {number}, and prune.rounds has no such n: choose "
                f"among {', '.join(rounds)}."
            )
    return values["compress"]


def measure(study: str, commit: str, point: Point) -> Trial:
    """Return the results of a point's experiment, which is run unless it exists."""
    name, path = point.name(study), Path("metrics") / study / "pareto.csv"
    table, fault = experiments.table(commit, name, path), ""
    if table is None:
        try:
            experiments.run(name, point.overrides(study), f"compress@{study}")
        except experiments.ExperimentError as error:
            fault = str(error)
        table = experiments.table(commit, name, path)
    if table is None:
        return Trial(point, {}, fault or f"experiment {name} has no {path}")
    return Trial(point, table.set_index("combination").loc[point.combination].to_dict())


def show(study: str, tried: Sequence[Trial], size: int, most: Budget) -> None:
    """Print the best trials, those that failed, and the winner with the command that applies it.

    Raises:
        InputError: nothing fits the budget.
    """
    best, failed = budget.ranked(tried, most), [trial for trial in tried if trial.fault]
    limits = ", ".join(f"{cost} ≤ {number:,.10g}" for cost, number in most.items())
    click.echo(
        f"{study}: {len(tried)} of {size} settings tried, {len(best)} within {limits}, {len(failed)} failed"
    )
    if best:
        click.echo(f"\n{'validation':>10}{'bytes':>12}{'macs':>15}{'ms':>9}  settings")
    for trial in best[:SHOWN]:
        row = trial.row
        click.echo(
            f"{row['val_accuracy_mean']:>10.2%}{row['bytes']:>12,.0f}{row['macs']:>15,.0f}"
            f"{row['ms_median']:>9.3g}  {trial.point}"
        )
    for trial in failed:
        click.echo(f"\nFailed: {trial.point}: {trial.fault}")
    if not best:
        raise InputError(nothing(limits, budget.closest(tried, most), most))
    row, name = best[0].row, best[0].point.name(study)
    click.echo(
        f"\nWinner: {best[0].point}\n"
        f"  test accuracy {row['accuracy_mean']:.2%}, {100 * row['difference']:+.2f} points from dense; "
        f"loss below the margin (validation, all trials): {budget.not_worse(best[0], tried)}\n"
        f"  dvc exp apply {name}"
    )


def nothing(limits: str, near: Trial | None, most: Budget) -> str:
    """Return the sentence for a budget that no trial fits."""
    if near is None:
        return "All trials failed: see the sentences above."
    costs = ", ".join(f"{cost} {near.row[budget.COLUMNS[cost]]:,.10g}" for cost in most)
    return (
        f"Nothing that was tried fits {limits}: {near.point} comes closest ({costs}); raise the budget, or "
        "add smaller settings to compress.search."
    )


if __name__ == "__main__":
    main()
