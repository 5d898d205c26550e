"""Penalties on weights, applied after every step of the optimizer, in addition to its weight decay."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prunet.training.optimizers import Step

# Weights (N, out, ...), each with the unit (out,) of its rows, from 0; -1 for rows that stay.
Group = Sequence[tuple[Tensor, Tensor]]


def group_lasso(step: Step, groups: Sequence[Group], strength: float) -> Step:
    """Return an optimizer's step that also drives whole units and filters to exactly zero.

    The penalty is strength x sum over units of sqrt(p) x |w|, where |w| is the Euclidean norm of a unit's p
    weights (Yuan & Lin 2006, section 2; for filters: Wen et al. 2016, section 3). These are its row, or all
    rows that can only go together: the pairs of a max-feature-map, the channels that a shortcut ties. The
    penalty has no gradient at zero, and gradient descent on it would only come close to zero. So its proximal
    operator follows every step: it shortens each unit by rate x strength x sqrt(p), and shorter units become
    zero (Parikh & Boyd 2014, section 6.5). With plain gradient descent, this is proximal gradient descent.
    With momentum or Adam it is the usual approximation, like decoupled weight decay.

    Args:
        step: the optimizer's.
        groups: weights that share units, changed in place; not the output layer, whose rows are classes.
        strength: at least 0.
    """
    shrinks = [_shrink_rows if _is_alone(group) else _shrink_units for group in groups]
    pulls = [strength * _sizes(group).sqrt() for group in groups]

    def step_and_shrink(gradients: list[Tensor], rate: float) -> None:
        step(gradients, rate)
        for shrink, group, pull in zip(shrinks, groups, pulls, strict=True):
            shrink(group, (rate * pull).to(group[0][0].dtype))

    return step_and_shrink


def _is_alone(group: Group) -> bool:
    """Return whether the units of a group are the rows of one layer, in their order."""
    (_, units), *others = group
    return not others and torch.equal(units, torch.arange(len(units), device=units.device))


def _sizes(group: Group) -> Tensor:
    """Return the number of weights of each unit, (units,)."""
    count = 1 + max(int(units.max()) for _, units in group)
    sizes = torch.zeros(count, dtype=torch.float64, device=group[0][0].device)
    for layer, units in group:
        rows = units[units >= 0]
        sizes.index_add_(0, rows, torch.full_like(rows, layer[0, 0].numel(), dtype=sizes.dtype))
    return sizes


def _shrink_rows(group: Group, lengths: Tensor) -> None:
    """Shorten each row of a layer by a length (rows,)."""
    ((layer, _),) = group
    rest = tuple(range(2, layer.ndim))
    norm = torch.linalg.vector_norm(layer, dim=rest, keepdim=True).clamp_min_(1e-30)
    layer.mul_((1 - lengths.view(-1, *[1] * len(rest)) / norm).clamp_min_(0))


def _shrink_units(group: Group, lengths: Tensor) -> None:
    """Shorten each unit of several rows by a length (units,)."""
    squares = lengths.new_zeros(len(group[0][0]), len(lengths))
    for layer, units in group:
        own = layer.flatten(2).square().sum(2)
        squares.index_add_(1, units[units >= 0], own[:, units >= 0])
    factors = (1 - lengths / squares.sqrt().clamp_min_(1e-30)).clamp_min_(0)
    for layer, units in group:
        rows = factors[:, units.clamp(min=0)].where(units >= 0, 1)
        layer.mul_(rows.view(*rows.shape, *[1] * (layer.ndim - 2)))


def scale_l1(step: Step, scales: Sequence[Tensor], strength: float) -> Step:
    """Return an optimizer's step that also drives the scales of batch norms to exactly zero.

    The penalty is strength x sum |scale| of network slimming (Liu et al. 2017, section 3, equation 1); the
    criterion `batchnorm-scale` then finds the channels to remove. The paper follows its subgradient; here, as
    in `group_lasso`, its proximal operator follows every step: each scale moves towards zero by rate x
    strength and stops there.

    Args:
        step: the optimizer's.
        scales: (N, channels) of every norm, changed in place.
        strength: at least 0.
    """

    def step_and_shrink(gradients: list[Tensor], rate: float) -> None:
        step(gradients, rate)
        for scale in scales:
            scale.copy_(functional.softshrink(scale, rate * strength))

    return step_and_shrink
