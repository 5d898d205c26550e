"""Check of the rules by which a study removes whole units, on a network of ones."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import click
import numpy as np
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.models.built_in import MODELS
from prunet.models.inputs import Shape
from prunet.pruning import budgets
from prunet.pruning.rounds import ModelQueries, TrainedNetworks, prune
from prunet.pruning.sensitivity import SHARES
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.finding import Units, find_units, nothing_to_remove
from prunet.structure.masks import coupled
from prunet.structure.rounding import multiples

REASONS = 4  # the most frequent ones, which are printed
SIMPLE: dict[str, Any] = {  # a single round without a target
    "schedule": "iterative",
    "number": 1,
    "scope": "layer",
    "empty_layers": "keep-one",
    "own": {},
    "target": {},
    "round_to": 1,
    "any_dimension": False,
}


def check(name: str, values: dict[str, Any], model: nn.Module, shape: Shape, own: dict[str, float]) -> None:
    """Check every rule that removes units of a study; of a network of one's own, print what can be removed.

    Networks of one's own are exported even if no rule removes units: the stages footprint and export do so.

    Args:
        name: of the study.
        values: of params.yaml.
        model: of the study, on any device.
        shape: (C, H, W) of an image.
        own: {layer: rate} of layers with their own rate.

    Raises:
        InputError: units cannot be removed by a criterion, at a rate or within a target, of the study; or a
            network of one's own cannot be exported.
    """
    rules, named = list(_rules(name, values, own)), values["studies"][name]["model"]
    if not rules and named in MODELS:
        return
    image = torch.zeros(2, *shape, device=next(model.parameters()).device)
    units = find_units(model, image, values["prune"]["attention"])
    for place, rule in rules:
        try:
            _prune_ones(model, units, **SIMPLE | rule)
        except InputError as error:
            raise InputError(f"{place}: {error.message}") from None
    if rules and named not in MODELS:
        click.echo("\n".join(report(f"studies.{name}: {named}", units)))


def report(network: str, units: Units) -> list[str]:
    """Return lines that say how many units of a network can be removed, and why others stay.

    Args:
        network: its name.
        units: from `find_units`.
    """
    groups, _ = coupled(units)
    count = sum(1 + max(int(ids.max()) for ids in layers.values()) for layers in groups.values())
    reasons = Counter(units.reasons).most_common()
    lines = [f"{network}: {count:,} units in {len(groups)} groups of layers can be removed."]
    lines += [f"  Left whole in {_counted(times, 'place')}: {why}." for why, times in reasons[:REASONS]]
    if others := reasons[REASONS:]:
        lines.append(f"  Left whole for {_counted(len(others), 'other reason')}.")
    return lines


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number > 1 else ''}"


def _rules(name: str, values: dict[str, Any], own: dict[str, float]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the place in params.yaml of each rule that removes units, and how it differs from `SIMPLE`."""
    rules, swept, layer = values["prune"], values["sweep"], values["sensitivity"]
    if rules["criterion"] in UNIT_CRITERIA:
        last = max(1, len(rules["rounds"]) - 1)
        same = ("criterion", "rate", "schedule", "scope", "empty_layers", "target", "round_to")
        rule = {key: rules[key] for key in same} | {"number": last, "own": own}
        yield "prune", rule
        if rules["scope"] == "sensitivity":
            rounds = 1 if rules["schedule"] == "one-shot" else last
            first = {cost: share ** (1 / rounds) for cost, share in rules["target"].items()}
            place = f"prune.scope sensitivity takes at most {SHARES[-1]:.0%} of a group in a round"
            yield place, rule | {"target": first, "largest": SHARES[-1]}
    if name in swept["studies"]:
        rule = {"rate": max(swept["sparsities"]), "own": own}
        for criterion in (named for named in swept["criteria"] if named in UNIT_CRITERIA):
            yield "sweep.criteria", rule | {"criterion": criterion}
    if name in layer["studies"]:
        rule = {"criterion": layer["criterion"], "rate": max(layer["shares"]), "any_dimension": True}
        yield "sensitivity.criterion", rule


def _prune_ones(
    model: nn.Module,
    units: Units,
    *,
    target: dict[str, float],
    round_to: int,
    any_dimension: bool,
    largest: float | None = None,
    **how: Any,
) -> None:
    """Prune a network of ones, which fails where pruning the trained networks would.

    Args:
        model: whose weights are not read.
        units: of the model, from `find_units`.
        target: shares of costs that may be left. Milliseconds are of the machine that prunes: not checked.
        round_to: channels that layers keep multiples of.
        any_dimension: as of `masks.coupled`.
        largest: share of each group that is removed at most, 0 to 1, in place of `scope`.
        how: the other arguments of `rounds.prune`.
    """
    groups, norms = coupled(units, any_dimension=any_dimension)
    if not groups:
        raise nothing_to_remove(units)
    # One weight a row, with the dimensions of the layer: the scores of units need no more.
    masks = {
        name: np.ones((1, len(ids), *[1] * (model.get_parameter(name).ndim - 1)), bool)
        for layers in groups.values()
        for name, ids in layers.items()
    }
    ones = {name: mask.astype(np.float32) for name, mask in masks.items()}
    ones |= {f"{norm}.weight": ones[name].reshape(1, -1) for name, norm in norms.items()}
    queries = ModelQueries(
        gradients=lambda weights, masks, power: {name: np.ones(mask.shape) for name, mask in masks.items()},
        row_slopes=lambda weights, masks: {name: np.ones((1, len(mask))) for name, mask in masks.items()},
        synaptic_flow=_not_asked,
        groups=groups,
        norms=norms,
        unread=lambda found: found,
    )
    counted = {cost: share for cost, share in target.items() if cost != "milliseconds"}
    shares = largest and (lambda rate: dict.fromkeys(groups, rate * largest))
    prune(
        TrainedNetworks(ones, masks, lambda: ones, lambda: queries),
        seed=0,
        budget=budgets.budget(counted, how["criterion"], lambda: units, ()),
        multiples=multiples(units, groups, round_to),
        allocate=(lambda replicate: shares) if shares else None,
        **how,
    )


def _not_asked(*_: Any) -> Any:
    raise NotImplementedError("criteria of units do not use synaptic flow")
