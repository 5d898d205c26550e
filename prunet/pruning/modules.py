"""Pruning of any PyTorch module: masks by the names of its parameters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks
from prunet.models import built_in
from prunet.pruning.budgets import Budget, budget
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
        loss: of criteria with gradients: returns the loss of the model on some data, of fisher that of each
            example, (N,).
        target: of the budget in place of `rate`, or empty.
        how: further arguments of `rounds.prune`.
    """
    rows = dict.fromkeys(built_in.prunable(model), 0)
    queries = ModelQueries(_gradients(model, loss), _unknown, {}, {}, unread=lambda found: found)
    limit = budget(target, how["criterion"], _unknown, ())
    found = _prune(model, rows, before, queries, {**how, "budget": limit})
    return dict(before) | {
        name: torch.from_numpy(mask).to(model.get_parameter(name).device) for name, mask in found.items()
    }


def prune_units(
    model: nn.Module,
    units: Units,
    before: Mapping[str, Tensor],
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
    queries = ModelQueries(_unknown, _unknown, layers, behind, unread=lambda found: found)
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


def _gradients(
    model: nn.Module, loss: Callable[[], Tensor] | None
) -> Callable[[Any, Any, int], dict[str, Any]]:
    def gradients(_: Any, masks: Any, power: int) -> dict[str, Any]:
        if loss is None:
            raise InputError(
                "this criterion needs gradients; pass `loss`, which returns the loss on some data."
            )
        layers = [model.get_parameter(name) for name in masks]
        value = loss()
        if power == 2 and value.ndim != 1:
            raise InputError(
                f"this criterion squares the gradients of single examples, and `loss` returned {value.ndim} "
                "dimensions; return the loss of each example, (N,), as with reduction='none'."
            )
        losses = value if power == 2 else value.mean()[None]
        total = [torch.zeros_like(layer, dtype=torch.float64) for layer in layers]
        for one in losses:
            for sum_, slope in zip(total, torch.autograd.grad(one, layers, retain_graph=True), strict=True):
                sum_ += slope.double() ** power
        return {name: (sum_ / len(losses)).cpu().numpy() for name, sum_ in zip(masks, total, strict=True)}

    return gradients


def _unknown(*_: Any) -> Any:
    raise InputError(
        "this criterion is one of the pipeline; choose magnitude, lamp, random, taylor or fisher."
    )
