"""One round: from trained networks and their masks to the next masks."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.pruning import budgets, rates
from prunet.pruning.budgets import Budget
from prunet.pruning.criteria import CRITERIA, STEPS, Evidence, Groups
from prunet.pruning.patterns import thin
from prunet.pruning.removal import LEAST, Scores, remove
from prunet.pruning.unit_masks import Multiples, rank_units


class ModelQueries(NamedTuple):
    """Queries of the networks' model; weights and masks are those of one network, (*shape).

    Attributes:
        gradients: from weights, masks and a power (`Evidence`).
        row_slopes: from weights and masks (`Evidence`).
        synaptic_flow: from weights and masks (`Evidence`).
        groups: rows of layers that go together (`unit_masks`).
        norms: {layer: name of the BatchNorm module behind it}.
        unread: returns masks (R, *shape) without the weights that read removed units.
    """

    gradients: Callable[[Weights, Masks, int], dict[str, Scores]]
    row_slopes: Callable[[Weights, Masks], dict[str, Scores]]
    synaptic_flow: Callable[[Weights, Masks], dict[str, Scores]]
    groups: Groups
    norms: Mapping[str, str]
    unread: Callable[[Masks], Masks]


class TrainedNetworks(NamedTuple):
    """R trained networks, and evidence that is read or computed only if a criterion asks for it.

    Attributes:
        weights: {tensor: (R, *shape)} after training, at least of every layer in `masks`.
        masks: {layer: (R, *shape)} of the round before; removed weights stay removed.
        initial: returns the weights before training.
        model: returns the queries of the model, the same at every call.
    """

    weights: Weights
    masks: Masks
    initial: Callable[[], Weights]
    model: Callable[[], ModelQueries]


def prune(
    networks: TrainedNetworks,
    *,
    schedule: str,
    number: int,
    rate: float,
    own: Mapping[str, float],
    scope: str,
    criterion: str,
    empty_layers: str,
    seed: int,
    pattern: str | None = None,
    budget: Budget | None = None,
    multiples: Multiples | None = None,
    allocate: Callable[[int], Callable[[float], Mapping[str, float]]] | None = None,
) -> Masks:
    """Return the masks (R, *shape) of a round, without the lowest-scored weights or units of each replicate.

    Args:
        networks: of the round before.
        schedule: `iterative`; or `one-shot`: the networks are dense and lose as much as in `number` rounds.
        number: of the round, from 1.
        rate: share of the survivors to remove, 0 to 1. The count is rounded to the nearest weight or unit.
        own: {layer: rate} of layers with their own rate, 0 to 1, which also holds for layers whose units go
            together with theirs. The units of the output layer are classes and stay in any case.
        scope: `layer`: each layer loses the same share; `global`: one ranking over all layers without their
            own rate.
        criterion: a key of `CRITERIA` or `UNIT_CRITERIA`.
        empty_layers: `keep-one`: every layer keeps its weight or unit with the highest score; `refuse`.
        seed: of the random criteria.
        pattern: N:M, of criteria of weights (`patterns`), in place of `rate`. Layers with their own rate, 0,
            and no others stay whole.
        budget: of each network after the round. Each loses the least that it allows, in place of `rate`.
        multiples: of criteria of units (`rank_units`).
        allocate: of criteria of units: from the number of a replicate to its `allocate` (`rank_units`).

    Raises:
        InputError: layers whose units go together have different rates, the criterion does not fit the
            network, the budget cannot be reached, or a layer would become empty and `empty_layers` is
            `refuse`.
    """
    rounds = number if schedule == "one-shot" else 1
    how: dict[str, Any] = {
        "criterion": criterion,
        "own": {name: rates.compounded(share, rounds) for name, share in own.items()},
        "scope": scope,
        "least": LEAST[empty_layers],
    }
    after = {name: np.zeros_like(mask) for name, mask in networks.masks.items()}
    for replicate in range(len(next(iter(after.values())))):
        evidence = _evidence(networks, replicate, seed)
        if criterion in CRITERIA:
            at = rank_weights(evidence, pattern=pattern, **how)
        else:
            how |= {"multiples": multiples or {}, "allocate": allocate and allocate(replicate)}
            at = rank_units(evidence, networks.model().groups, **how)
        share = rates.compounded(rate, rounds)
        for name, mask in (budgets.largest(at, budget) if budget else at(share)).items():
            if not mask.any():
                raise InputError(
                    f"criterion {criterion} (scope {scope}) would remove all weights of {name} at a rate of "
                    f"{how['own'].get(name, share):.4g}: lower prune.rate, give the layer a "
                    "lower rate in the study's layers.own_rate, or set prune.empty_layers: keep-one."
                )
            after[name][replicate] = mask
    return after if criterion in CRITERIA else networks.model().unread(after)


def _evidence(networks: TrainedNetworks, replicate: int, seed: int) -> Evidence:
    masks = _one(networks.masks, replicate)
    return Evidence(
        weights=_one(networks.weights, replicate),
        masks=masks,
        initial=lambda: _one(networks.initial(), replicate),
        gradients=lambda weights, power: networks.model().gradients(weights, masks, power),
        row_slopes=lambda weights: networks.model().row_slopes(weights, masks),
        synaptic_flow=lambda weights, left: networks.model().synaptic_flow(weights, left),
        norms=lambda: networks.model().norms,
        groups=lambda: networks.model().groups,
        rng=np.random.default_rng([seed, replicate]),
    )


def _one(stack: dict[str, NDArray[Any]], replicate: int) -> dict[str, NDArray[Any]]:
    return {name: values[replicate] for name, values in stack.items()}


def rank_weights(
    evidence: Evidence,
    *,
    criterion: str,
    pattern: str | None,
    own: Mapping[str, float],
    least: int,
    **how: Any,
) -> Callable[[float], Masks]:
    """Score the weights of one network; return its masks (*shape) without the lowest, at any rate.

    A criterion in `STEPS` scores what is left again after each of its steps. Under a pattern the masks are
    the same at any rate. Each layer keeps `least`. The other arguments are those of `removal.remove`.
    """
    if pattern:
        thinned = thin(evidence, criterion, pattern, own)
        return lambda rate: thinned
    before = {name: mask.ravel() for name, mask in evidence.masks.items()}
    kept, steps = dict.fromkeys(before, least), STEPS.get(criterion, 1)
    first = _scores(evidence, criterion)

    def at(rate: float) -> Masks:
        after, scores = evidence.masks, first
        for step in range(1, steps + 1):
            if step > 1:
                scores = _scores(evidence._replace(masks=after), criterion)
                for name, mask in before.items():
                    scores[name][mask & ~after[name].ravel()] = -np.inf  # what has gone is the first to go
            part = step / steps
            shares = {name: rates.partway(share, part) for name, share in own.items()}
            common = rates.partway(rate, part)
            flat = remove(scores, before, rate=common, own=shares, least=kept, **how)
            after = {name: flat[name].reshape(mask.shape) for name, mask in evidence.masks.items()}
        return after

    return at


def _scores(evidence: Evidence, criterion: str) -> dict[str, Scores]:
    return {name: values.ravel() for name, values in CRITERIA[criterion](evidence).items()}
