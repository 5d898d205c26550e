"""Stage `prune`: one round, from trained networks to the next masks and the networks trained under them."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import click
import torch

from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.base.options import CHECKPOINTS, PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.cells.masks import Masks, Weights
from prunet.data.images import dataset
from prunet.pruning import budgets, queries, validation
from prunet.pruning.criteria import CRITERIA
from prunet.pruning.rounds import TrainedNetworks, prune
from prunet.pruning.sensitivity import allocate
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.retraining import scheme as schemes
from prunet.retraining.tickets import cell
from prunet.structure.rounding import multiples
from prunet.training.cells import contents, copy_cell
from prunet.training.trainer import Trainer

LINES = [
    f"{name:<17}{(criterion.__doc__ or '').splitlines()[0]}"
    for name, criterion in (CRITERIA | UNIT_CRITERIA).items()
]


# \b: click must not fill up these lines.
@click.command(epilog="\n".join(["\b", "Criteria (params.yaml, prune.criterion):", *LINES]))
@PARAMS
@CHECKPOINTS
@click.argument("number", metavar="ROUND")
@paths("data", "models", "before")
def main(
    params: dict[str, Any], checkpoints: Path, number: str, data: Path, models: Path, before: Path
) -> None:
    """Rank the survivors of BEFORE, the trained networks of an earlier round, and remove the lowest.

    Writes the masks of ROUND (two digits; 00 removes nothing) to MODELS/masks/ROUND.safetensors, and to
    MODELS/chain/ROUND the networks that the chain's scheme trains under them. MODELS, the study's folder,
    also holds the weights at step 0 and at step `rewind`; DATA is the study's dataset file.
    """
    rules, name = params["prune"], params["prune"]["chain"]
    trainer = Trainer(params["study"], dataset.load(data), checkpoints, params["checkpoint_seconds"])
    masks = next_masks(trainer, rules, number, models / "init.safetensors", before)
    whole_units = rules["criterion"] in UNIT_CRITERIA
    storage.save_masks(models / "masks" / f"{number}.safetensors", masks, whole_units)

    scheme = schemes.load(name)
    if scheme.dense_at_round_0 and int(number) == 0:
        trained = before
    else:
        this = cell(trainer, name, scheme, number, models, before, contents(data), {})
        (trained,) = trainer.train([this])
    with replacing(models / "chain" / number) as partial:
        copy_cell(trained, partial)


def next_masks(trainer: Trainer, rules: dict[str, Any], number: str, init: Path, before: Path) -> Masks:
    """Return the masks of a round, by the rules of the stage's parameters."""
    weights, masks = storage.load_network(before)
    trainer.check_masks(masks)
    if int(number) == 0:
        return masks

    @cache
    def initial() -> Weights:
        values = storage.load_weights(init)
        if {tensor: v.shape for tensor, v in values.items()} != {t: v.shape for t, v in weights.items()}:
            raise InputError(
                f"{init} and {before} hold different networks; run the stages again, starting with `train`."
            )
        return values

    model = cache(lambda: queries.model(trainer, rules["criterion_images"]))
    criterion, round_to = rules["criterion"], rules["round_to"]
    target = {cost: share ** (int(number) / rules["last"]) for cost, share in rules["target"].items()}
    seed = derive(trainer.seed, "prune", number)
    by_sensitivity = partial(_allocation, trainer, weights, masks, criterion, seed)
    image = torch.zeros(1, *trainer.shape, device=trainer.device)
    return prune(
        TrainedNetworks(weights, masks, initial, model),
        number=int(number),
        seed=seed,
        schedule=rules["schedule"],
        rate=rules["rate"],
        own=rules["own"],
        scope=rules["scope"],
        criterion=criterion,
        pattern=rules["pattern"],
        empty_layers=rules["empty_layers"],
        budget=budgets.budget(target, criterion, lambda: trainer.units, [image]),
        multiples=multiples(trainer.units, model().groups, round_to) if round_to > 1 else None,
        allocate=by_sensitivity if rules["scope"] == "sensitivity" else None,
    )


def _allocation(
    trainer: Trainer, weights: Weights, masks: Masks, criterion: str, seed: int, replicate: int
) -> Callable[[float], dict[str, float]]:
    """Return the rates of groups by the sensitivity of one of the networks."""
    found = validation.measure(trainer, weights, masks, replicate, criterion=criterion, seed=seed)
    return partial(allocate, found)


if __name__ == "__main__":
    run_and_exit(main)
