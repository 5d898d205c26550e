"""Optimizers as functions, and learning rate schedules.

The optimizers call torch.optim's functional forms, which do the same arithmetic as its classes. The classes
import PyTorch's compiler, which takes two to four seconds, and a pipeline has many short stages.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as adam_step
from torch.optim.sgd import sgd as sgd_step

Step = Callable[[list[Tensor], float], None]  # takes the gradient of each parameter and the learning rate
Optimizer = tuple[Step, list[Tensor]]  # and the optimizer's state


def adam(parameters: list[Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """Return Adam (Kingma & Ba 2015), published betas and epsilon; uses the setting `weight_decay`."""
    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    def step(gradients: list[Tensor], rate: float) -> None:
        adam_step(
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


OPTIMIZERS = {"adam": adam, "sgd": sgd}


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
