"""Stage `retrain`: one round of one scheme, from start values under the round's masks to trained weights."""

import shutil
from pathlib import Path

import click
import numpy as np

from prunet.base import files
from prunet.base.options import PARAMS, STUDY, UNFINISHED
from prunet.base.processes import run_and_leave
from prunet.base.seeds import derive
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.data import dataset
from prunet.pruning.schemes import DENSE_AT_ROUND_0, SCHEMES, SPARSE, UNDER_THE_ROUNDS_MASK, Sources


def _list_of_schemes() -> str:
    """Return a line for each scheme: the first of its text."""
    lines = [f"  {name:<17}{(scheme.__doc__ or '').splitlines()[0]}" for name, scheme in SCHEMES.items()]
    return "\b\n" + "\n".join(["What is trained, and from what (--scheme):", *lines])


@click.command(epilog=_list_of_schemes())
@PARAMS
@STUDY
@click.option(
    "--scheme", type=click.Choice(list(SCHEMES)), metavar="SCHEME", required=True, help="Listed below."
)
@click.option("--round", "number", required=True, help="Number of the round, two digits.")
@UNFINISHED
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("rewind", type=click.Path(path_type=Path))
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
    rewind: Path,
    chain: Path,
    masks_file: Path,
    output: Path,
) -> None:
    """Train the survivors of MASKS from a scheme's start values on the dataset file DATA.

    INIT and REWIND hold the weights of the dense training at step 0 and at the step `rewind` of the study,
    CHAIN the trained networks that the masks were made from. Writes OUTPUT, the folder of the trained
    networks with their curves and test metrics. A training that was killed goes on from its last checkpoint.
    """
    chain = tickets.cell_folder(chain)
    if scheme in DENSE_AT_ROUND_0 and int(number) == 0:
        # CHAIN, the dense networks, is that very training: from the same values, without a pruned weight.
        with files.replacing(output) as partial:
            shutil.copytree(chain, partial)
        return
    from prunet.training.cells import Study

    values = params.load(params_file)
    study = Study.of(values, name, dataset.load(data), unfinished)
    drawn_for = ("random", number) if scheme == "random" else ("init",)
    seed = derive(study.seed, name, "sparse" if scheme in SPARSE else scheme, number)
    given = tickets.load_masks(masks_file)
    study.check_masks(given)
    ticket = SCHEMES[scheme](
        Sources(
            initial=lambda: tickets.load_weights(init),
            early=lambda: tickets.load_weights(rewind),
            trained=lambda: tickets.load_network(chain)[0],
            fresh=lambda: study.initial_weights(*drawn_for, reinits=study.block["reinits"]),
            masks=given,
            rng=lambda replicate: np.random.default_rng([seed, replicate]),
            rewind=study.rewind,
            dynamic=values["dynamic"],
        )
    )
    cell = f"{scheme}/{number}"
    whole = scheme in UNDER_THE_ROUNDS_MASK and tickets.whole_units(masks_file)
    trained = study.train(cell, ticket.weights, ticket.masks, drawn_for, ticket.course, whole)
    tickets.save_cell(output, trained.weights, trained.masks, trained.result, whole_units=whole)
    study.forget(cell)


if __name__ == "__main__":
    run_and_leave(main)
