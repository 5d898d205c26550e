"""Pruning of any PyTorch module: masks by the names of its parameters."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.models import built_in
from prunet.pruning.budgets import Budget, budget
from prunet.pruning.removal import Scores
from prunet.pruning.rounds import ModelQueries, TrainedNetworks, prune
from prunet.structure.finding import Units, nothing_to_remove
from prunet.structure.masks import coupled, removed_rows, unit_masks
from prunet.structure.rounding import multiples

ModelMasks = dict[str, Tensor]  # {parameter: bool (*shape)}, True where a weight survives


def prune_weights(
    model: nn.Module,
    before: Mapping[str, Tensor],
    loss: Callable[[], Tensor] | None,
    target: Mapping[str, float],
    how: Mapping[str, Any],
) -> ModelMasks:
    """Return masks without the lowest single weights of the prunable layers.

    Args:
        model: it is not changed.
        before: masks of the round before.
        loss: of criteria with gradients: returns the loss of the model on some data; of those that square the
            gradients of single examples, that of each example, (N,).
        target: of the budget in place of `rate`, or empty.
        how: further arguments of `rounds.prune`.
    """
    rows = dict.fromkeys(built_in.prunable(model), 0)
    slopes = partial(_slopes, model, loss, rows)
    queries = ModelQueries(
        partial(_gradients, slopes), _unknown, _unknown, {}, {}, unread=lambda found: found
    )
    limit = budget(target, how["criterion"], _unknown, ())
    found = _prune(model, rows, before, queries, {**how, "budget": limit})
    return dict(before) | {
        name: torch.from_numpy(mask).to(model.get_parameter(name).device) for name, mask in found.items()
    }


def prune_units(
    model: nn.Module,
    units: Units,
    before: Mapping[str, Tensor],
    loss: Callable[[], Tensor] | None,
    target: Mapping[str, float],
    inputs: Sequence[Tensor],
    round_to: int,
    how: Mapping[str, Any],
) -> ModelMasks:
    """Return masks without the lowest units, nor anything that computes or reads them.

    Args:
        model: it is not changed.
        units: of the model, from `find_units`.
        before: masks of the round before.
        loss: as of `prune_weights`.
        target: of the budget in place of `rate`, or empty.
        inputs: that a target of milliseconds is measured with.
        round_to: every layer keeps a multiple of so many channels.
        how: further arguments of `rounds.prune`.

    Raises:
        InputError: no unit can be removed.
    """
    layers, behind = coupled(units, any_dimension=True)
    if not layers:
        raise nothing_to_remove(units)
    dims = {part.tensor.name: part.dim for group in units.groups for part in group.rows}
    rows = {name: dims[name] for own in layers.values() for name in own}
    slopes = partial(_slopes, model, loss, rows)
    by_loss = partial(_gradients, slopes), partial(_row_slopes, slopes)
    queries = ModelQueries(*by_loss, _unknown, layers, behind, unread=lambda found: found)
    limit = budget(target, how["criterion"], lambda: units, inputs)
    if limit:
        limit = Budget(target, lambda masks, left=limit.shares: left(_in_place(masks, rows)))  # type: ignore[misc]
    rounded = multiples(units, layers, round_to) if round_to > 1 else None
    found = _prune(model, rows, before, queries, {**how, "budget": limit, "multiples": rounded})
    after = unit_masks(units, removed_rows(units, found))
    return dict(before) | {
        name: mask & before[name] if name in before else mask for name, mask in after.items()
    }


def _prune(
    model: nn.Module,
    rows: dict[str, int],
    before: Mapping[str, Tensor],
    queries: ModelQueries,
    how: Mapping[str, Any],
) -> Masks:
    """Return the masks (*shape) of the weights in `rows`, {weight: dimension that its rows lie along}."""
    scales = {f"{norm}.weight": 0 for norm in queries.norms.values()}
    weights, masks = {}, {}
    for name, dim in (rows | scales).items():
        value = model.get_parameter(name).detach().cpu()
        mask = before.get(name, torch.ones_like(value, dtype=torch.bool)).cpu()
        weights[name], masks[name] = (part.movedim(dim, 0).numpy()[None] for part in (value.float(), mask))
    masks = {name: masks[name] for name in rows}
    networks = TrainedNetworks(weights, masks, lambda: weights, lambda: queries)
    found = prune(networks, schedule="iterative", number=1, empty_layers="keep-one", **how)
    return _in_place({name: mask[0] for name, mask in found.items()}, rows)


def _in_place(masks: Masks, rows: Mapping[str, int]) -> Masks:
    """Return masks whose rows lie along dimension 0 in the shapes of their weights."""
    return {name: np.moveaxis(mask, 0, rows[name]) for name, mask in masks.items()}


def _slopes(
    model: nn.Module, loss: Callable[[], Tensor] | None, rows: Mapping[str, int], single: bool
) -> Iterator[dict[str, Tensor]]:
    """Yield the gradients (float64) of the mean loss, or of each single example's, by weight, rows first."""
    if loss is None:
        raise InputError("this criterion needs gradients; pass `loss`, which returns the loss on some data.")
    value = loss()
    if single and value.ndim != 1:
        raise InputError(
            f"this criterion squares the gradients of single examples, and `loss` returned {value.ndim} "
            "dimensions; return the loss of each example, (N,), as with reduction='none'."
        )
    weights = [model.get_parameter(name) for name in rows]
    for one in value if single else value.mean()[None]:
        found = torch.autograd.grad(one, weights, retain_graph=True)
        named = zip(rows.items(), found, strict=True)
        yield {name: slope.double().movedim(dim, 0) for (name, dim), slope in named}


def _gradients(
    slopes: Callable[[bool], Iterator[dict[str, Tensor]]], weights: Weights, masks: Masks, power: int
) -> dict[str, Scores]:
    total: dict[str, Tensor] = {}
    count = 0
    for found in slopes(power == 2):
        total = {name: total.get(name, 0) + slope**power for name, slope in found.items()}
        count += 1
    return {name: (total[name] / count).cpu().numpy() for name in masks}


def _row_slopes(
    slopes: Callable[[bool], Iterator[dict[str, Tensor]]], weights: Weights, masks: Masks
) -> dict[str, Scores]:
    rows: dict[str, list[Tensor]] = {name: [] for name in masks}
    for found in slopes(True):
        for name, row in rows.items():
            values = torch.from_numpy(weights[name] * masks[name]).to(found[name])
            row.append((values * found[name]).flatten(1).sum(1))
    return {name: torch.stack(values).cpu().numpy() for name, values in rows.items()}


def _unknown(*_: Any) -> Any:
    raise InputError(
        "this criterion is one of the pipeline; choose magnitude, lamp, random, taylor or fisher."
    )
