"""Proof that two networks compute the same outputs."""

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # of the difference to the largest output


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Return the largest difference of the outputs, relative to the largest output of `one`.

    Both run in evaluation mode and in float64. It is infinite if shapes differ, and NaN if an output is.

    Args:
        one, other: of the same inputs; they are not changed.
        inputs: each (N, ...).
    """
    exact = [value.double() if value.is_floating_point() else value for value in inputs]
    results = [tensors(copy.deepcopy(model).double().eval()(*exact)) for model in (one, other)]
    if [value.shape for value in results[0]] != [value.shape for value in results[1]]:
        return float("inf")
    worst = 0.0
    for first, second in zip(*results, strict=True):
        if first.numel():
            largest = max(float(first.abs().max()), torch.finfo(torch.float64).tiny)
            worst = max(worst, float((first - second).abs().max()) / largest)
    return worst


def random_inputs(example: Sequence[Tensor], count: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Return normal random inputs of the shapes of an example, (count, ...); integers are repeated."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.arange(count) % len(value) for value in example]
    return tuple(
        torch.randn((count, *value.shape[1:]), generator=generator).to(value)
        if value.is_floating_point()
        else value[row.to(value.device)]
        for value, row in zip(example, rows, strict=True)
    )


def tensors(outputs: Any) -> list[Tensor]:
    """List the floating-point tensors in a network's outputs: a tensor, or lists and dictionaries of them."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.is_floating_point() else [outputs.double()]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return (
        [value for part in outputs or [] for value in tensors(part)]
        if isinstance(outputs, list | tuple)
        else []
    )
