"""Weights that hide no error: with a fresh network's scales of 0 or 1e-6, a wrong removal changes nothing."""

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

SMALL = 1e-3  # largest absolute value of a parameter that is drawn anew


@torch.no_grad()
def randomise(model: nn.Module, example: tuple[Tensor, ...]) -> None:
    """Draw the constant and the tiny parameters of a model, and BatchNorm statistics that differ by map.

    Scales get values between 0.5 and 1.5, biases have standard deviation 0.2, and weight matrices
    1 / sqrt(number of columns). BatchNorm statistics are those of the example, with random factors and
    offsets: the activations keep their size. The same values are drawn at every call.

    Args:
        model: changed in place; in evaluation mode afterwards.
        example: inputs, each (N, ...).
    """
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if parameter.numel() and (parameter.min() == parameter.max() or parameter.abs().max() < SMALL):
            parameter.copy_(_draw(name.rpartition(".")[2], parameter.shape, generator))
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    hooks = [norm.register_forward_pre_hook(_set_statistics) for norm in norms]
    model.eval()(*[value.clone() for value in example])
    for hook in hooks:
        hook.remove()


def _draw(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    if "bias" in name:
        return 0.2 * torch.randn(shape, generator=generator)
    if name.endswith("weight") and len(shape) > 1:
        return torch.randn(shape, generator=generator) / math.sqrt(shape[1:].numel())
    return 0.5 + torch.rand(shape, generator=generator)


def _set_statistics(norm: _BatchNorm, inputs: tuple[Tensor, ...]) -> None:
    if norm.running_mean is None or norm.running_var is None:
        return
    generator = torch.Generator().manual_seed(2)
    features = inputs[0].transpose(0, 1).flatten(1)
    variance = features.var(1, correction=0) + 1e-2
    factors = 0.5 + torch.rand(len(features), generator=generator).to(variance)
    offsets = 0.2 * torch.randn(len(features), generator=generator).to(variance)
    norm.running_var.copy_(variance * factors)
    norm.running_mean.copy_(features.mean(1) + offsets * variance.sqrt())
