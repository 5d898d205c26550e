"""Pruning in one's own training loop: `prune`, `masked` and `shrink` take any PyTorch module.

masks = prunet.prune(model, example, criterion="filter-l2", rate=0.5)
with prunet.masked(model, masks):
    train(model)
smaller = prunet.shrink(model, example, masks)
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunet.base.errors import InputError
from prunet.cells.masks import Masks
from prunet.models import built_in
from prunet.pruning.criteria import CRITERIA
from prunet.pruning.rounds import ModelQueries, TrainedNetworks
from prunet.pruning.rounds import prune as prune_round
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.finding import find_units, nothing_to_remove
from prunet.structure.masks import coupled, removed_rows, unit_masks
from prunet.structure.program import Example
from prunet.structure.shrinking import apply_masks, shrink

ModelMasks = dict[str, Tensor]  # {parameter: bool (*shape)}, True where a weight survives

__all__ = ["apply_masks", "masked", "prune", "shrink"]


def prune(
    model: nn.Module,
    example: Example,
    *,
    criterion: str = "magnitude",
    rate: float = 0.2,
    scope: str = "layer",
    own: Mapping[str, float] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    loss: Callable[[], Tensor] | None = None,
    seed: int = 0,
) -> ModelMasks:
    """Return masks without the lowest-scored weights or units of a model; the model is not changed.

    Args:
        model: of any kind.
        example: inputs of the model, each (N, ...), a tensor or several.
        criterion: of single weights: magnitude, random, taylor (needs `loss`). Of whole units, filters and
            attention heads: unit-l2, unit-random, filter-l1, filter-l2, batchnorm-scale, geometric-median.
        rate: share of the survivors to remove, 0 to 1.
        scope: `layer`: each layer, or group of layers whose units go together, loses the same share;
            `global`: one ranking.
        own: {weight: rate} of layers with their own rate; 0 leaves a layer out.
        masks: of the round before; what they remove stays removed.
        loss: returns the loss of the model on some training data, for criteria with gradients.
        seed: of the random criteria.

    Returns:
        A bool mask (*shape) for each parameter that loses something. For units these are the weights that
        compute or read them, their biases, and the scales and shifts of norms.

    Raises:
        InputError: the criterion is unknown or does not fit the model, or no unit can be removed.
    """
    if criterion not in CRITERIA | UNIT_CRITERIA:
        known = ", ".join(CRITERIA | UNIT_CRITERIA)
        raise InputError(f"criterion {criterion!r} is unknown; choose one of {known}.")
    how = {"rate": rate, "own": own or {}, "scope": scope, "criterion": criterion, "seed": seed}
    before = dict(masks or {})
    if criterion in CRITERIA:
        queries = ModelQueries(_gradients(model, loss), _unknown, {}, {}, unread=lambda found: found)
        found = _prune(model, dict.fromkeys(built_in.prunable(model), 0), before, queries, how)
        return before | {
            name: torch.from_numpy(mask).to(model.get_parameter(name).device) for name, mask in found.items()
        }
    units = find_units(model, example)
    layers, behind = coupled(units, any_dimension=True)
    if not layers:
        raise nothing_to_remove(units)
    front = {part.tensor.name: part.dim for group in units.groups for part in group.rows}
    queries = ModelQueries(_unknown, _unknown, layers, behind, unread=lambda found: found)
    found = _prune(
        model, {name: front[name] for own_rows in layers.values() for name in own_rows}, before, queries, how
    )
    return _both(before, unit_masks(units, removed_rows(units, found)))


@contextmanager
def masked(model: nn.Module, masks: Mapping[str, Tensor]) -> Iterator[None]:
    """Keep the removed weights of a model at zero while it is trained, whatever the optimizer or trainer.

    Every `torch.optim.Optimizer` sets them to zero after its step: on the gradient alone, momentum and weight
    decay would move them.
    """
    apply_masks(model, masks)
    hook = register_optimizer_step_post_hook(lambda *_: apply_masks(model, masks))
    try:
        yield
    finally:
        hook.remove()


def _prune(
    model: nn.Module,
    rows: dict[str, int],
    before: Mapping[str, Tensor],
    queries: ModelQueries,
    how: dict[str, Any],
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
    found = prune_round(networks, schedule="iterative", number=1, empty_layers="keep-one", **how)
    return {name: np.moveaxis(found[name][0], 0, dim) for name, dim in rows.items()}


def _gradients(model: nn.Module, loss: Callable[[], Tensor] | None) -> Callable[[Any, Any], dict[str, Any]]:
    def gradients(_: Any, masks: Any) -> dict[str, Any]:
        if loss is None:
            raise InputError(
                "this criterion needs gradients; pass `loss`, which returns the loss on some data."
            )
        layers = [model.get_parameter(name) for name in masks]
        found = torch.autograd.grad(loss(), layers)
        return {name: value.cpu().double().numpy() for name, value in zip(masks, found, strict=True)}

    return gradients


def _unknown(*_: Any) -> Any:
    raise InputError("this criterion is one of the pipeline; choose magnitude, random or taylor.")


def _both(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> ModelMasks:
    """Return the masks of what survives both."""
    return dict(one) | {name: mask & one[name] if name in one else mask for name, mask in other.items()}
