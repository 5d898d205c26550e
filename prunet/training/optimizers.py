"""One optimisation step on lists of tensors, and the learning rate's course.

These are torch.optim's own functional forms: same arithmetic, but the optimizer classes import PyTorch's
compiler at their first step, two seconds that each of a pipeline's many short stages would pay.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as adam_step
from torch.optim.sgd import sgd as sgd_step

Step = Callable[[list[Tensor], float], None]  # takes the gradients, one for each parameter, and the rate
Optimizer = tuple[Step, list[Tensor]]  # and the tensors that it remembers from step to step


def adam(parameters: list[Tensor], settings: Mapping[str, Any]) -> Optimizer:
    """Adam (Kingma & Ba 2015) with its published betas and epsilon; `weight_decay` from settings."""
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
    """Stochastic gradient descent; `momentum`, `nesterov` and `weight_decay` from settings.

    With `nesterov` it goes on from where momentum leads (Sutskever et al. 2013, section 2).
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
    """Stay at the learning rate."""
    return 1.0


def cosine(step: int, settings: Mapping[str, Any]) -> float:
    """Fall to zero along half a cosine (Loshchilov & Hutter 2017, without restarts)."""
    progress: float = (step - 1) / settings["steps"]
    return 0.5 * (1 + math.cos(math.pi * progress))


def falling(step: int, settings: Mapping[str, Any]) -> float:
    """Fall by the factor `decay` after each of the steps `milestones` (He et al. 2016, section 4.2)."""
    share: float = settings["decay"] ** sum(step > milestone for milestone in settings["milestones"])
    return share


# What share of the learning rate a step takes.
SCHEDULES = {"constant": constant, "cosine": cosine, "step": falling}


def learning_rate(step: int, settings: Mapping[str, Any]) -> float:
    """Return the rate of a step, counted from 1: `lr` by schedule, with a linear rise over `warmup` steps."""
    peak: float = settings["lr"]
    rise: float = min(1.0, step / max(1, settings["warmup"]))
    return peak * rise * SCHEDULES[settings["schedule"]](step, settings)
