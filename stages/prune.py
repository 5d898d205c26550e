"""Stage `prune`: one round, from trained weights to the next masks."""

from functools import cache
from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.base.options import PARAMS, STUDY, UNDERSCORES
from prunet.base.processes import run_and_leave
from prunet.base.seeds import derive
from prunet.cells import storage as tickets
from prunet.data import dataset
from prunet.pruning.criteria import CRITERIA
from prunet.pruning.masks import LEAST, Weights
from prunet.pruning.rounds import Model, Networks, prune
from prunet.pruning.unit_criteria import UNIT_CRITERIA

ALL = CRITERIA | UNIT_CRITERIA
LINES = [f"{name:<17}{(criterion.__doc__ or '').splitlines()[0]}" for name, criterion in ALL.items()]


# \b: click must not fill up these lines.
@click.command(context_settings=UNDERSCORES, epilog="\n".join(["\b", "Criteria:", *LINES]))
@PARAMS
@STUDY
@click.option(
    "--schedule",
    type=click.Choice(["iterative", "one-shot"]),
    required=True,
    help="From the round before, or from the dense networks as much at once as in all rounds up to this.",
)
@click.option(
    "--rate", type=float, required=True, help="Share of the survivors that a round removes, 0 to 1."
)
@click.option(
    "--output-rate-factor", type=float, required=True, help="The output layer loses --rate times this."
)
@click.option("--leave-out", metavar="NAME", multiple=True, help="A layer that keeps all weights.")
@click.option("--own-rate", metavar="NAME=RATE", multiple=True, help="A layer with a rate of its own.")
@click.option(
    "--scope",
    type=click.Choice(["layer", "global"]),
    required=True,
    help="The same share of every layer, or one ranking over all layers.",
)
@click.option(
    "--criterion", type=click.Choice(list(ALL)), required=True, help="How weights or units are ranked."
)
@click.option(
    "--criterion-images",
    type=click.IntRange(1),
    required=True,
    help="Training images that criteria with gradients look at.",
)
@click.option(
    "--empty-layers",
    type=click.Choice(list(LEAST)),
    required=True,
    help="Of what would lose everything, keep the best weight or unit, or refuse.",
)
@click.option("--seed", type=int, required=True, help="Seed of the random criteria.")
@click.option("--round", "number", required=True, help="Number of the round; 00 removes nothing.")
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("network", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(
    params_file: Path,
    name: str,
    criterion: str,
    criterion_images: int,
    seed: int,
    number: str,
    data: Path,
    init: Path,
    network: Path,
    output: Path,
    **how: Any,
) -> None:
    """Rank the survivors of NETWORK, the trained networks of the round before, and remove the lowest.

    Writes the masks of this round, OUTPUT: one bit a weight. Criteria that ask for them read the weights at
    step 0, INIT, or open the study with its dataset file DATA; the others do not need these files.
    """
    weights, masks = tickets.load_network(tickets.cell_folder(network))

    @cache
    def initial() -> Weights:
        values = tickets.load_weights(init)
        if {tensor: v.shape for tensor, v in values.items()} != {t: v.shape for t, v in weights.items()}:
            raise InputError(
                f"{init} and {network} are not of the same networks: run the stages from `train` on again."
            )
        return values

    @cache
    def model() -> Model:
        from prunet.config import params
        from prunet.training import evidence
        from prunet.training.cells import Study

        study = Study.of(params.load(params_file), name, dataset.load(data), Path())  # which trains nothing
        study.check_masks(masks)
        return evidence.model(study, criterion_images)

    if int(number) > 0:
        masks = prune(
            Networks(weights, masks, initial, model),
            criterion=criterion,
            number=int(number),
            seed=derive(seed, "prune", number),
            **how,
        )
    tickets.save_masks(output, masks, whole_units=criterion in UNIT_CRITERIA)


if __name__ == "__main__":
    run_and_leave(main)
