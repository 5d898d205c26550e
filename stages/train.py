"""Stage `train`: the dense networks of a study, before and after training."""

import shutil
from pathlib import Path
from typing import Any

import click

from prunet.base.files import replacing
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.training.cells import Cell, Job, contents, copy_cell, key
from prunet.training.trainer import Trainer


@click.command()
@PARAMS
@CHECKPOINTS
@paths("data", "init", "rewind", "dense")
def main(
    params: dict[str, Any], checkpoints: Path, data: Path, init: Path, rewind: Path, dense: Path
) -> None:
    """Train the replicates of a study on the dataset file DATA.

    Writes INIT and REWIND, the weights at step 0 and at the study's step `rewind`, and DENSE, a folder with
    the trained networks, their learning curves and test metrics. A run that was killed resumes from its last
    checkpoint.
    """
    trainer = Trainer(params["study"], dataset.load(data), checkpoints, params["checkpoint_seconds"])
    start = trainer.start_weights()
    job = Job(start, trainer.dense_masks(), ("init",), trainer.dense_plan(keep=trainer.rewind))
    cell = Cell(
        "dense", key(trainer.study, [contents(data)], ["stages/train.py"]), trainer.replicates, lambda: job
    )
    (folder,) = trainer.train([cell])
    storage.save_weights(init, start)
    with replacing(rewind) as partial:
        shutil.copy(folder / "kept.safetensors", partial)
    with replacing(dense) as partial:
        copy_cell(folder, partial)
        (partial / "kept.safetensors").unlink()


if __name__ == "__main__":
    run_and_exit(main)
