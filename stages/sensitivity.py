"""Stage `sensitivity`: accuracy of the dense networks without a part of one layer's units. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import sensitive_layers
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.training.trainer import Trainer


@click.command()
@PARAMS
@paths("data", "dense", "output")
def main(params: dict[str, Any], data: Path, dense: Path, output: Path) -> None:
    """Prune one layer of the networks DENSE at a time, with the layers that share its units.

    DATA is the study's dataset file, whose validation split is read. Writes OUTPUT, a CSV with the accuracy
    over replicates by layer and share of its units.
    """
    trainer = Trainer(params["study"], dataset.load(data))
    weights, masks = storage.load_network(dense)
    trainer.check_masks(masks)
    seed = derive(trainer.seed, "sensitivity")
    tables.write(output, sensitive_layers.by_layer(trainer, weights, **params["sensitivity"], seed=seed))


if __name__ == "__main__":
    run_and_exit(main)
