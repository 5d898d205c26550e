"""Stage `retrain`: one scheme at every round, from its start values to trained networks."""

from pathlib import Path
from typing import Any

import click

from prunet.base.files import replacing
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.retraining import scheme as schemes
from prunet.retraining.tickets import cell
from prunet.training.cells import contents, copy_cell
from prunet.training.trainer import Trainer

SCHEMES = [f"{name:<17}{schemes.summary(name)}" for name in schemes.names()]


# \b: click must not fill up these lines.
@click.command(epilog="\n".join(["\b", "Schemes (params.yaml, prune.schemes):", *SCHEMES]))
@PARAMS
@CHECKPOINTS
@paths("data", "models", "output")
def main(params: dict[str, Any], checkpoints: Path, data: Path, models: Path, output: Path) -> None:
    """Train the survivors of every round from one scheme's start values, on the dataset file DATA.

    MODELS is the study's folder: init.safetensors and rewind.safetensors, dense, and from each round
    masks/NN.safetensors and chain/NN. Writes OUTPUT, a folder with one folder for each round: the trained
    networks, their learning curves and test metrics. Rounds that were trained before by the same code, from
    the same inputs, are reused; a run that was killed resumes from its last checkpoint.
    """
    name = params["scheme"]
    scheme = schemes.load(name)
    trainer = Trainer(params["study"], dataset.load(data), checkpoints, params["checkpoint_seconds"])
    rounds = params["rounds"]
    if scheme.dense_at_round_0:
        rounds = [entry for entry in rounds if int(entry["n"])]
    digest, extra = contents(data), params["extra"]
    cells = [
        cell(trainer, name, scheme, entry["n"], models, models / entry["from"], digest, extra)
        for entry in rounds
    ]
    folders = trainer.train(cells, reuse=[models / "chain"])
    trained = {"00": models / "dense"} if scheme.dense_at_round_0 else {}
    trained |= {entry["n"]: folder for entry, folder in zip(rounds, folders, strict=True)}
    for number, folder in trained.items():
        with replacing(output / number) as partial:
            copy_cell(folder, partial)


if __name__ == "__main__":
    run_and_exit(main)
