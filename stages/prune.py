"""Stage `prune`: one round, from trained weights to the next masks."""

from pathlib import Path

import click

from prunet.base.options import UNDERSCORES
from prunet.base.seeds import derive
from prunet.pruning import tickets
from prunet.pruning.masks import CRITERIA, prune


@click.command(context_settings=UNDERSCORES)
@click.option("--rate", type=float, required=True, help="Share of the surviving weights to remove, 0 to 1.")
@click.option(
    "--output-rate-factor", type=float, required=True, help="The output layer loses --rate times this."
)
@click.option(
    "--scope",
    type=click.Choice(["layer", "global"]),
    required=True,
    help="The same share of every layer, or one ranking over all layers.",
)
@click.option("--criterion", type=click.Choice(list(CRITERIA)), required=True, help="How weights are ranked.")
@click.option("--seed", type=int, required=True, help="Seed of the random criterion.")
@click.option("--round", "number", required=True, help="Number of the round; 00 removes nothing.")
@click.argument("network", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(
    rate: float,
    output_rate_factor: float,
    scope: str,
    criterion: str,
    seed: int,
    number: str,
    network: Path,
    output: Path,
) -> None:
    """Rank the surviving weights of NETWORK, a trained network of the round before, and remove the lowest.

    Writes the masks of this round, OUTPUT: one bit a weight.
    """
    weights, masks = tickets.load_network(tickets.cell_folder(network))
    if int(number) > 0:
        masks = prune(
            weights,
            masks,
            rate=rate,
            output_rate_factor=output_rate_factor,
            scope=scope,
            criterion=criterion,
            seed=derive(seed, "prune", number),
        )
    tickets.save_masks(output, masks)


if __name__ == "__main__":
    main()
