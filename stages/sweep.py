"""Stage `sweep`: accuracy and size of the dense networks as more and more is removed. Optional."""

from functools import cache
from pathlib import Path
from typing import Any

import click

from prunet.analysis.sweep import sweep
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.deployment import compact, selection
from prunet.pruning import queries
from prunet.pruning.rounds import TrainedNetworks
from prunet.training.trainer import Trainer


@click.command()
@PARAMS
@paths("data", "init", "dense", "output")
def main(params: dict[str, Any], data: Path, init: Path, dense: Path, output: Path) -> None:
    """Prune the networks DENSE once to every sparsity of `sweep`, and test them without retraining.

    DATA is the study's dataset file, INIT holds the weights at step 0. Writes OUTPUT, a CSV with the accuracy
    over replicates and the bytes of the compact file, by criterion and sparsity.
    """
    contents, rules = dataset.load(data), params["sweep"]
    trainer = Trainer(params["study"], contents)
    weights, masks = storage.load_network(dense)
    trainer.check_masks(masks)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    networks = TrainedNetworks(
        weights,
        masks,
        cache(lambda: storage.load_weights(init)),
        cache(lambda: queries.model(trainer, rules["criterion_images"])),
    )
    table = sweep(
        trainer,
        networks,
        rules["criteria"],
        rules["sparsities"],
        lambda pruned, mask: len(compact.dumps(pruned, mask, metadata)),
        pace=rules["pace"],
        scope="layer",
        empty_layers="keep-one",
        seed=derive(trainer.seed, "sweep"),
    )
    tables.write(output, table)


if __name__ == "__main__":
    run_and_exit(main)
