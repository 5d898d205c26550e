"""Stage `retrain`: one round of one scheme, from start values under the round's masks to trained weights."""

import os
import shutil
from pathlib import Path

import click

from prunet import params
from prunet.base import dataset, files
from prunet.base.processes import run_and_leave
from prunet.pruning import tickets
from prunet.pruning.schemes import SCHEMES


@click.command()
@click.option(
    "--params", "params_file", type=click.Path(path_type=Path), default="params.yaml", show_default=True
)
@click.option("--study", "name", required=True, help="A key of `studies` in the params file.")
@click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    required=True,
    help="What the survivors start from: their values at step 0, as trained so far, or new random ones.",
)
@click.option("--round", "number", required=True, help="Number of the round, two digits.")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("chain", type=click.Path(path_type=Path))
@click.argument("masks_file", metavar="MASKS", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(
    params_file: Path,
    name: str,
    scheme: str,
    number: str,
    data: Path,
    init: Path,
    chain: Path,
    masks_file: Path,
    output: Path,
) -> None:
    """Train the survivors of MASKS from a scheme's start values on the dataset file DATA.

    INIT holds the weights at step 0, CHAIN the trained networks that the masks were made from. Writes OUTPUT,
    the folder of the trained networks with their curves and test metrics.
    """
    chain = Path(os.path.normpath(chain))  # round 0 comes from `SCHEME/../dense`, before there is a SCHEME
    if scheme == "original" and int(number) == 0:
        # From the values at step 0 without a pruned weight: CHAIN, the dense networks, is that very training.
        with files.replacing(output) as partial:
            shutil.copytree(chain, partial)
        return
    from prunet.networks.cells import Study

    values = params.load(params_file)
    study = Study(name, params.study(values, name), values["seed"], dataset.load(data))
    drawn_for = ("random", number) if scheme == "random" else ("init",)
    start = SCHEMES[scheme](
        lambda: tickets.load_weights(init),
        lambda: tickets.load_network(chain)[0],
        lambda: study.initial_weights(*drawn_for),
    )
    masks = tickets.load_masks(masks_file)
    weights, result = study.train(start, masks, drawn_for)
    tickets.save_cell(output, weights, masks, result)


if __name__ == "__main__":
    run_and_leave(main)
