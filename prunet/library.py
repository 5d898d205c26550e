"""Pruning in one's own training loop: `prune`, `masked` and `shrink` take any PyTorch module.

masks = prunet.prune(model, example, criterion="filter-l2", rate=0.5)
with prunet.masked(model, masks):
    train(model)
smaller = prunet.shrink(model, example, masks)
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from prunet.base.errors import InputError
from prunet.pruning import budgets, patterns
from prunet.pruning.criteria import CRITERIA, check_scope
from prunet.pruning.modules import ModelMasks, prune_units, prune_weights
from prunet.pruning.sensitivity import Sensitivity, allocate, sensitivity
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure.finding import find_units
from prunet.structure.program import Example, inputs_of
from prunet.structure.shrinking import apply_masks, shrink

__all__ = ["apply_masks", "masked", "prune", "sensitivity", "shrink"]


def prune(
    model: nn.Module,
    example: Example,
    *,
    criterion: str = "magnitude",
    pattern: str | None = None,
    rate: float = 0.2,
    scope: str = "layer",
    own: Mapping[str, float] | None = None,
    masks: Mapping[str, Tensor] | None = None,
    loss: Callable[[], Tensor] | None = None,
    seed: int = 0,
    target: Mapping[str, float] | None = None,
    round_to: int = 1,
    sensitivity: Sensitivity | None = None,
    attention: str = "heads",
) -> ModelMasks:
    """Return masks without the lowest-scored weights or units of a model; the model is not changed.

    Args:
        model: of any kind.
        example: inputs of the model, each (N, ...), a tensor or several.
        criterion: of single weights: magnitude, lamp (of scope global), random, taylor and fisher. Of whole
            units, filters and parts of attention: unit-l2, unit-random, filter-l1, filter-l2,
            batchnorm-scale, geometric-median, unit-taylor and unit-fisher. Those of taylor and fisher need
            `loss`.
        pattern: e.g. "2:4": of every 4 consecutive weights along a layer's inputs, the 2 with the highest
            scores stay, by a criterion of single weights; `rate` is not used. Layers whose number of inputs
            is not a multiple of 4 stay whole.
        rate: share of the survivors to remove, 0 to 1.
        scope: `layer`: each layer, or group of layers whose units go together, loses the same share;
            `global`: one ranking.
        own: {weight: rate} of layers with their own rate; 0 leaves a layer out.
        masks: of the round before; what they remove stays removed.
        loss: returns the loss of the model on some training data, for criteria with gradients: a number, or
            the loss of each example, (N,), which fisher and unit-fisher need.
        seed: of the random criteria.
        target: {cost: share of the whole model's that may be left}, e.g. {"macs": 0.5}; the costs are macs,
            parameters, bytes and milliseconds. The result is the largest network within all of them; `rate`
            is not used. Milliseconds are measured here, on the example. Single weights have `parameters`
            alone, those that can be pruned.
        round_to: every layer keeps a multiple of so many channels, rounded up; layers with fewer stay whole.
        sensitivity: of the model, from the function of this name. All groups lose equally much of the score
            on the way to the target, in place of `scope`.
        attention: the units of attention. `heads`: whole heads; `widths`: the same elements of all heads, of
            the query and key or of the value. Attention without separate heads has the latter in any case.

    Returns:
        A bool mask (*shape) for each parameter that loses something. For units these are the weights that
        compute or read them, their biases, and the scales and shifts of norms.

    Raises:
        InputError: the criterion is unknown or does not fit the model, no unit can be removed, or the target
            is below what one unit of each layer costs.
    """
    if criterion not in CRITERIA | UNIT_CRITERIA:
        known = ", ".join(CRITERIA | UNIT_CRITERIA)
        raise InputError(f"criterion {criterion!r} is unknown; choose one of {known}.")
    target, before = dict(target or {}), dict(masks or {})
    budgets.check(target, criterion, round_to)
    check_scope(criterion, scope)
    rates = dict(own or {})
    if pattern is not None:
        patterns.check(pattern, criterion, scope, target)
        rates |= dict.fromkeys(patterns.whole_layers(model, pattern, rates), 0.0)
    how = {
        "rate": rate,
        "own": rates,
        "scope": scope,
        "criterion": criterion,
        "seed": seed,
        "pattern": pattern,
    }
    if sensitivity:
        if criterion in CRITERIA or not target:
            raise InputError(
                "sensitivity spreads a target over groups of units; give a target and a criterion of units."
            )
        how["allocate"] = lambda _: partial(allocate, sensitivity)
    if criterion in CRITERIA:
        return prune_weights(model, before, loss, target, how)
    units = find_units(model, example, attention)
    return prune_units(model, units, before, loss, target, inputs_of(example), round_to, how)


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
