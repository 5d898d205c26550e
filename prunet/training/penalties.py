"""Penalties on weights, applied after every step of the optimizer, in addition to its weight decay."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prunet.training.optimizers import Step


def group_lasso(step: Step, layers: Sequence[Tensor], strength: float) -> Step:
    """Return an optimizer's step that also drives whole rows and filters of `layers` to exactly zero.

    The penalty is strength x sum over rows of sqrt(p) x |w|, where |w| is the Euclidean norm of a row of p
    weights (Yuan & Lin 2006, section 2; for filters: Wen et al. 2016, section 3). It has no gradient at zero,
    and gradient descent on it would only come close to zero. So the penalty's proximal operator follows every
    step: it shortens each row by rate x strength x sqrt(p), and shorter rows become zero (Parikh & Boyd 2014,
    section 6.5). With plain gradient descent, this is proximal gradient descent. With momentum or Adam it is
    the usual approximation, like decoupled weight decay.

    Every row or filter is its own group, even if two of them form one channel (the pairs of max-feature-map,
    channels that a shortcut ties).

    Args:
        step: the optimizer's.
        layers: weights (N, out, ...), changed in place; not the output layer, whose rows are the classes.
        strength: at least 0.
    """
    rests = [tuple(range(2, layer.ndim)) for layer in layers]
    pulls = [strength * math.sqrt(layer[0, 0].numel()) for layer in layers]

    def step_and_shrink(gradients: list[Tensor], rate: float) -> None:
        step(gradients, rate)
        for layer, rest, pull in zip(layers, rests, pulls, strict=True):
            norm = torch.linalg.vector_norm(layer, dim=rest, keepdim=True).clamp_min_(1e-30)
            layer.mul_((1 - rate * pull / norm).clamp_min_(0))

    return step_and_shrink


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
