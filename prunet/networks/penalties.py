"""Penalties on weights that training applies as it goes, beside the optimizer's own weight decay."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from prunet.networks.optimizers import Step


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
