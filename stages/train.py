"""Stage `train`: the dense networks of a study, before and after training."""

from pathlib import Path

import click

from prunet.base.options import PARAMS, STUDY, UNFINISHED
from prunet.base.processes import run_and_leave
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.data import dataset


@click.command()
@PARAMS
@STUDY
@UNFINISHED
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("rewind", type=click.Path(path_type=Path))
@click.argument("dense", type=click.Path(path_type=Path))
def main(
    params_file: Path, name: str, unfinished: Path, data: Path, init: Path, rewind: Path, dense: Path
) -> None:
    """Train the replicates of a study on the dataset file DATA.

    Writes INIT and REWIND, the files of the weights at step 0 and at the step `rewind` of the study, and
    DENSE, the folder of the trained networks with their curves and test metrics. A training that was killed
    goes on from its last checkpoint.
    """
    from prunet.training.cells import Study

    study = Study.of(params.load(params_file), name, dataset.load(data), unfinished)
    start, masks = study.initial_weights("init"), study.dense_masks()
    course = study.dense_course()._replace(keep=study.rewind)
    trained = study.train("dense", start, masks, ("init",), course)
    tickets.save_weights(init, start)
    tickets.save_weights(rewind, trained.kept)
    tickets.save_cell(dense, trained.weights, trained.masks, trained.result)
    study.forget("dense")


if __name__ == "__main__":
    run_and_leave(main)
