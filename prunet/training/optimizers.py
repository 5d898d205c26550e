"""Optimizers as functions, and learning rate schedules.

The optimizers call torch.optim's functional forms, which do the same arithmetic as its classes. The classes
import PyTorch's compiler, which takes two to four seconds, and a pipeline has many short stages.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import get_total_norm
from torch.optim.adam import adam as adam_step
from torch.optim.adamw import adamw as adamw_step
from torch.optim.sgd import sgd as sgd_step

from prunet.training.vectors import Stack

Step = Callable[[list[Tensor], float], None]  # takes the gradient of each parameter and the learning rate
Optimizer = tuple[Step, list[Tensor]]  # and the optimizer's state


def adam(parameters: list[Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """Return Adam (Kingma & Ba 2015), published betas and epsilon.

    `weight_decay` is an L2 penalty, part of the gradient.
    """
    return _with_moments(adam_step, parameters, settings)


def adamw(parameters: list[Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """Return Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2), betas as of `adam`.

    Every step also shortens each weight by the learning rate x `weight_decay` of its value.
    """
    return _with_moments(adamw_step, parameters, settings)


def _with_moments(
    function: Callable[..., None], parameters: list[Tensor], settings: Mapping[str, Any]
) -> Optimizer:
    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    def step(gradients: list[Tensor], rate: float) -> None:
        function(
            parameters,
            gradients,
            means,
            squares,
            [],
            steps,
            fused=True,
            foreach=False,
            amsgrad=False,
            maximize=False,
            beta1=0.9,
            beta2=0.999,
            eps=1e-8,
            lr=rate,
            weight_decay=settings["weight_decay"],
        )

    return step, [*means, *squares, *steps]


def sgd(parameters: list[Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """Return stochastic gradient descent; uses the settings `momentum`, `nesterov` and `weight_decay`.

    `nesterov` is Nesterov's accelerated gradient (Sutskever et al. 2013, section 2).
    """
    momenta: list[Tensor | None] = [torch.zeros_like(parameter) for parameter in parameters]

    def step(gradients: list[Tensor], rate: float) -> None:
        sgd_step(
            parameters,
            gradients,
            momenta,
            fused=True,
            foreach=False,
            nesterov=settings["nesterov"],
            maximize=False,
            dampening=0.0,
            lr=rate,
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )

    return step, [momentum for momentum in momenta if momentum is not None]


OPTIMIZERS = {"adam": adam, "adamw": adamw, "sgd": sgd}


def build(
    settings: Mapping[str, Any], parameters: list[Tensor], gradients: Stack, survivors: Stack
) -> Optimizer:
    """Return the optimizer of the settings for `parameters`; `gradients` and `survivors` as of `clipped`."""
    step, memory = OPTIMIZERS[settings["optimizer"]](parameters, settings)
    limit = settings["clip_norm"]
    return (clipped(step, gradients, survivors, limit) if limit else step), memory


def clipped(step: Step, gradients: Stack, survivors: Stack, limit: float) -> Step:
    """Return an optimizer's step that first shortens gradients to `limit` (Pascanu et al. 2013, section 3.2).

    Each network's gradients are scaled by one factor, so that their norm over all its surviving parameters
    is at most `limit`, as `torch.nn.utils.clip_grad_norm_` does for a single network without masks.

    Args:
        step: the optimizer's; the parts of its gradients are `gradients`.
        gradients: (N, *shape) of every parameter, changed in place, outside the masks too.
        survivors: masks (N, *shape) of every parameter, one or zero; they may change between steps.
        limit: Euclidean norm, greater than 0.
    """

    def clip_and_step(packed: list[Tensor], rate: float) -> None:
        for number in range(len(next(iter(gradients.values())))):
            own = {name: gradient[number] for name, gradient in gradients.items()}
            norm = get_total_norm([gradient * survivors[name][number] for name, gradient in own.items()])
            factor = (limit / (norm + 1e-6)).clamp_(max=1)
            for gradient in own.values():
                gradient.mul_(factor)
        step(packed, rate)

    return clip_and_step


def constant(step: int, settings: Mapping[str, Any]) -> float:
    """Keep the learning rate constant."""
    return 1.0


def cosine(step: int, settings: Mapping[str, Any]) -> float:
    """Decay to zero along half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    progress: float = (step - 1) / settings["steps"]
    return 0.5 * (1 + math.cos(math.pi * progress))


def step_decay(step: int, settings: Mapping[str, Any]) -> float:
    """Multiply by `decay` after each of the steps `milestones` (He et al. 2016, section 4.2)."""
    share: float = settings["decay"] ** sum(step > milestone for milestone in settings["milestones"])
    return share


# Each function returns the share of the learning rate at a step.
SCHEDULES = {"constant": constant, "cosine": cosine, "step": step_decay}


def learning_rate(step: int, settings: Mapping[str, Any]) -> float:
    """Return the learning rate of a step, counted from 1: `lr` by schedule, with `warmup` linear steps."""
    peak: float = settings["lr"]
    warmup: float = min(1.0, step / max(1, settings["warmup"]))
    return peak * warmup * SCHEDULES[settings["schedule"]](step, settings)
