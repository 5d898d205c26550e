"""Penalties on weights that training applies as it goes, beside the optimizer's own weight decay."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from prunet.training.optimizers import Step


def group_lasso(step: Step, layers: Sequence[Tensor], strength: float) -> Step:
    """Return an optimizer's step that pulls whole rows and filters of `layers` towards exactly zero.

    The penalty is strength x sum over rows of sqrt(p) x |w|, where |w| is the length of a row of p weights
    (Yuan & Lin 2006, section 2; filters of convolutions: Wen et al. 2016, section 3). It has no gradient at
    zero, and along its gradient elsewhere rows would only come near zero. So a step is followed by the
    penalty's proximal operator, which shortens every row by rate x strength x sqrt(p), shorter ones to zero
    (Parikh & Boyd 2014, section 6.5). With plain gradient descent that is proximal gradient descent, exact.
    With momentum or Adam, whose steps are not along the gradient, it is the usual approximation: a shrinkage
    apart from the gradient, as decoupled weight decay is.

    Every row or filter is a group of its own, also where two of them make one channel (the pairs of
    max-feature-map, channels that a shortcut ties).

    Args:
        step: the optimizer's.
        layers: weights (N, out, ...), which are changed in place; not the output layer, whose rows are the
            classes.
        strength: at least 0.
    """
    rests = [tuple(range(2, layer.ndim)) for layer in layers]
    pulls = [strength * math.sqrt(layer[0, 0].numel()) for layer in layers]

    def penalised(gradients: list[Tensor], rate: float) -> None:
        step(gradients, rate)
        for layer, rest, pull in zip(layers, rests, pulls, strict=True):
            length = torch.linalg.vector_norm(layer, dim=rest, keepdim=True).clamp_min_(1e-30)
            layer.mul_((1 - rate * pull / length).clamp_min_(0))

    return penalised


def scale_l1(step: Step, scales: Sequence[Tensor], strength: float) -> Step:
    """Return an optimizer's step that pulls the scales of batch norms towards exactly zero.

    The penalty is strength x sum |scale|, that of network slimming (Liu et al. 2017, section 3, equation 1),
    after which criterion `batchnorm-scale` finds channels to remove. Theirs follows its subgradient; here, as
    in `group_lasso`, its proximal operator follows every step: each scale comes nearer to zero by rate x
    strength, and stops there.

    Args:
        step: the optimizer's.
        scales: (N, channels) of every norm, which are changed in place.
        strength: at least 0.
    """

    def penalised(gradients: list[Tensor], rate: float) -> None:
        step(gradients, rate)
        for scale in scales:
            scale.copy_(functional.softshrink(scale, rate * strength))

    return penalised
