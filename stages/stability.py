"""Stage `stability`: loss barriers between two runs of the same ticket, by step and round. Optional."""

from pathlib import Path
from typing import Any

import click
import pandas as pd

from prunet.analysis import stability
from prunet.base import files, tables
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.training.cells import contents
from prunet.training.trainer import Trainer


@click.command()
@PARAMS
@CHECKPOINTS
@paths("data", "init", "rewind", "original", "barriers", "paths")
def main(
    params: dict[str, Any],
    checkpoints: Path,
    data: Path,
    init: Path,
    rewind: Path,
    original: Path,
    barriers: Path,
    paths: Path,
) -> None:
    """Train the masks in ORIGINAL from steps of the dense training with two data orders, and interpolate.

    INIT and REWIND are the dense weights at step 0 and at the study's step `rewind`. From step 0 the networks
    in ORIGINAL are the first of the two runs.

    Writes BARRIERS, a CSV of the loss and error barriers by step and round, and PATHS, a CSV of the loss and
    error along the paths.
    """
    trainer = Trainer(params["study"], dataset.load(data), checkpoints, params["checkpoint_seconds"])
    rounds = [original / number for number in params["rounds"]]
    steps = [trainer.step_of(time, "stability.from") for time in params["from"]]
    found = []
    for step in dict.fromkeys(steps):
        known = {trainer.rewind: rewind, 0: init}
        start = known.get(step) or stability.snapshot(trainer, init, contents(data), step)
        runs = stability.two_runs(trainer, rounds, start, contents(data), step)
        for folder, pair in zip(rounds, runs, strict=True):
            first, second = (storage.load_network(path)[0] for path in pair)
            density = files.read_json(folder / "result.json")["density"]
            path = stability.path(trainer, first, second)
            found.append(path.assign(start=step, round=folder.name, density=density))
    together = pd.concat(found)
    tables.write(paths, together)
    tables.write(barriers, stability.barriers(together))


if __name__ == "__main__":
    run_and_exit(main)
