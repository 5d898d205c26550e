"""Stage `stability`: loss barriers between two trainings of the same ticket, by round. Optional."""

from pathlib import Path

import click
import pandas as pd

from prunet.base import files
from prunet.base.options import PARAMS, STUDY, UNFINISHED
from prunet.base.processes import run_and_leave
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.data import dataset
from prunet.pruning.course import Course


@click.command()
@PARAMS
@STUDY
@UNFINISHED
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("original", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
@click.argument("plots", type=click.Path(path_type=Path))
def main(
    params_file: Path,
    name: str,
    unfinished: Path,
    data: Path,
    init: Path,
    original: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Train the tickets below ORIGINAL once more from INIT, in another data order, and walk between the two.

    Writes METRICS, a CSV of the loss and error barriers by round, and to PLOTS the paths and the figure.
    """
    from prunet.analysis import canvas, figures, stability, summary
    from prunet.training.cells import Study

    values = params.load(params_file)
    # Every seed of a training follows from the order's name; the start values are given.
    study = Study.of(values, name, dataset.load(data), unfinished, "another order")
    start = tickets.load_weights(init)
    paths = []
    for number in values["stability"]["rounds"]:
        first, masks = tickets.load_network(original / number)
        whole = tickets.whole_units(original / number / "masks.safetensors")
        course = Course() if int(number) else study.dense_course()
        second = study.train(f"stability/{number}", start, masks, ("init",), course, whole)
        walked = stability.path(study, first, second.weights)
        paths.append(walked.assign(round=number, density=second.result["density"]))
    together = pd.concat(paths)
    table = stability.barriers(together)
    summary.write(metrics, table)
    with files.replacing(plots) as partial:
        partial.mkdir()
        summary.write(partial / "paths.csv", together)
        canvas.save(figures.barriers(table, f"{name}: stability"), partial / "barriers.png")
    for number in values["stability"]["rounds"]:
        study.forget(f"stability/{number}")


if __name__ == "__main__":
    run_and_leave(main)
