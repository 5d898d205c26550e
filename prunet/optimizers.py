"""One optimisation step on lists of tensors.

These are torch.optim's own functional forms: same arithmetic, but the optimizer classes import PyTorch's
compiler at their first step, two seconds that each of a pipeline's many short stages would pay.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adam import adam as adam_step
from torch.optim.sgd import sgd as sgd_step

Step = Callable[[list[Tensor]], None]  # takes the gradients, one for each parameter


def adam(parameters: list[Tensor], settings: Mapping[str, Any]) -> Step:
    """Adam (Kingma & Ba 2015) with its published betas and epsilon; `lr` and `weight_decay` from settings."""
    means = [torch.zeros_like(parameter) for parameter in parameters]
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    steps = [torch.zeros((), device=parameter.device) for parameter in parameters]

    def step(gradients: list[Tensor]) -> None:
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
            lr=settings["lr"],
            weight_decay=settings["weight_decay"],
        )

    return step


def sgd(parameters: list[Tensor], settings: Mapping[str, Any]) -> Step:
    """Stochastic gradient descent; `lr`, `momentum` and `weight_decay` from settings."""
    momenta: list[Tensor | None] = [None for _ in parameters]

    def step(gradients: list[Tensor]) -> None:
        sgd_step(
            parameters,
            gradients,
            momenta,
            fused=True,
            foreach=False,
            nesterov=False,
            maximize=False,
            dampening=0.0,
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )

    return step


OPTIMIZERS = {"adam": adam, "sgd": sgd}
