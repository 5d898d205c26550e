"""Stage `retrain`: one round of one scheme, from start values under the round's masks to trained weights."""

import shutil
from pathlib import Path

import click
import numpy as np

from prunet import params
from prunet.base import dataset, files
from prunet.base.options import PARAMS, STUDY, UNFINISHED
from prunet.base.processes import run_and_leave
from prunet.base.seeds import derive
from prunet.pruning import tickets
from prunet.pruning.schemes import SCHEMES, Sources


@click.command()
@PARAMS
@STUDY
@click.option(
    "--scheme",
    type=click.Choice(list(SCHEMES)),
    required=True,
    help="What is trained. The round's mask with: its original values, its trained values, or new random "
    "ones. Controls: mask and original values shuffled within each layer; a random mask.",
)
@click.option("--round", "number", required=True, help="Number of the round, two digits.")
@UNFINISHED
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
    unfinished: Path,
    data: Path,
    init: Path,
    chain: Path,
    masks_file: Path,
    output: Path,
) -> None:
    """Train the survivors of MASKS from a scheme's start values on the dataset file DATA.

    INIT holds the weights at step 0, CHAIN the trained networks that the masks were made from. Writes OUTPUT,
    the folder of the trained networks with their curves and test metrics. A training that was killed goes on
    from its last checkpoint.
    """
    chain = tickets.cell_folder(chain)
    if scheme in ("original", "random-mask") and int(number) == 0:
        # From the values at step 0 without a pruned weight: CHAIN, the dense networks, is that very training.
        with files.replacing(output) as partial:
            shutil.copytree(chain, partial)
        return
    from prunet.networks.cells import Study

    study = Study.of(params.load(params_file), name, dataset.load(data), unfinished)
    drawn_for = ("random", number) if scheme == "random" else ("init",)
    seed = derive(study.seed, name, scheme, number)
    given = tickets.load_masks(masks_file)
    study.check_masks(given)
    start, masks = SCHEMES[scheme](
        Sources(
            initial=lambda: tickets.load_weights(init),
            trained=lambda: tickets.load_network(chain)[0],
            fresh=lambda: study.initial_weights(*drawn_for, reinits=study.block["reinits"]),
            masks=given,
            rng=lambda replicate: np.random.default_rng([seed, replicate]),
        )
    )
    cell = f"{scheme}/{number}"
    weights, result = study.train(cell, start, masks, drawn_for)
    tickets.save_cell(output, weights, masks, result)
    study.forget(cell)


if __name__ == "__main__":
    run_and_leave(main)
