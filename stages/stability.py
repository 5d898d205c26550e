"""Stage `stability`: loss barriers between two runs of the same ticket, by round. Optional."""

from pathlib import Path
from typing import Any

import click
import pandas as pd

from prunet.analysis import stability
from prunet.base import files, tables
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.training.cells import Cell, Job, contents, key
from prunet.training.plan import TrainingPlan
from prunet.training.trainer import Trainer


@click.command()
@PARAMS
@CHECKPOINTS
@paths("data", "init", "original", "barriers", "paths")
def main(
    params: dict[str, Any],
    checkpoints: Path,
    data: Path,
    init: Path,
    original: Path,
    barriers: Path,
    paths: Path,
) -> None:
    """Train the tickets in ORIGINAL once more from INIT, with another data order, and interpolate linearly.

    Writes BARRIERS, a CSV of the loss and error barriers by round, and PATHS, a CSV of the loss and error
    along the paths.
    """
    study = params["study"]
    # The seeds of a run follow from this one; its start values are given.
    study = study | {"seed": derive(study["seed"], "another order")}
    trainer = Trainer(study, dataset.load(data), checkpoints, params["checkpoint_seconds"])
    start, inputs = storage.load_weights(init), [contents(data), contents(init)]

    def cell(number: str) -> Cell:
        def job() -> Job:
            masks = storage.load_masks(original / number / "masks.safetensors")
            whole = storage.whole_units(original / number / "masks.safetensors")
            plan = TrainingPlan() if int(number) else trainer.dense_plan()
            return Job(start, masks, ("init",), plan, whole)

        made_from = [*inputs, contents(original / number)]
        name = key(study | {"stability": number}, made_from, ["stages/stability.py"])
        return Cell(f"stability/{number}", name, trainer.replicates, job)

    rounds = params["rounds"]
    found = []
    for number, folder in zip(rounds, trainer.train([cell(number) for number in rounds]), strict=True):
        first, second = (storage.load_network(path)[0] for path in (original / number, folder))
        density = files.read_json(folder / "result.json")["density"]
        found.append(stability.path(trainer, first, second).assign(round=number, density=density))
    together = pd.concat(found)
    tables.write(paths, together)
    tables.write(barriers, stability.barriers(together))


if __name__ == "__main__":
    run_and_exit(main)
