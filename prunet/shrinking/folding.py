"""Constant features of a pruned network, folded into the layers that read them.

A feature is constant if no varying feature reaches it through surviving weights. The constants of a step are
one value per feature, (1, n) or (1, n, 1, 1) float64, NaN where a feature varies. An image counts as one
varying map. Flattening keeps one value per map; the fully connected layer after it repeats each value for the
map's positions.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.cells.masks import Masks
from prunet.shrinking.features import apply
from prunet.shrinking.trace import Effect, Step


class Folded(NamedTuple):
    """A layer whose constant inputs have been folded into its bias or weights."""

    weight: Tensor  # (out, in, ...) float64, zero where pruned or folded
    bias: Tensor  # (out,) float64
    reads: Tensor  # (out, in) bool: whether an output depends on an input


def fold(steps: Sequence[Step], masks: Masks) -> tuple[list[Tensor], dict[str, Folded]]:
    """Return the constants of every step, and the layers, by name, with their constant inputs folded in.

    Args:
        steps: of a model in evaluation mode.
        masks: (*shape) by weight name, True where a weight survives. A layer without a mask is dense.
    """
    known: list[Tensor] = []
    folded: dict[str, Folded] = {}
    for step in steps:
        given = [known[number] for number in step.inputs]
        if step.effect == "layer":
            folded[step.name] = _fold(step, masks.get(f"{step.name}.weight"), given[0])
            known.append(_outcome(folded[step.name], given[0]))
        else:
            known.append(_CONSTANTS[step.effect](step, *given))
    return known, folded


def spread(values: Tensor, count: int) -> Tensor:
    """Repeat each map's value (n,) for its positions, or the image's for its channels or pixels."""
    return values.repeat_interleave(count // len(values))


def _fold(step: Step, mask: NDArray[np.bool_] | None, constants: Tensor) -> Folded:
    """Fold a layer's constant inputs into its bias, or into one of these inputs where that is not exact."""
    module = step.operation
    weight = module.weight.cpu().double()
    survives = torch.ones_like(weight, dtype=torch.bool) if mask is None else torch.from_numpy(mask)
    weight = weight.where(survives, 0)
    reads = survives.reshape(*weight.shape[:2], -1).any(2)
    inputs = spread(constants.flatten(), weight.shape[1])
    constant = ~inputs.isnan()
    values = inputs.where(constant, 0)
    bias = torch.zeros(len(weight), dtype=weight.dtype) if module.bias is None else module.bias.cpu().double()
    carrier = values.abs().argmax()
    if step.kind is nn.Linear or module.padding in ((0, 0), "valid") or values[carrier] == 0:
        bias = bias + weight.reshape(*weight.shape[:2], -1).sum(2) @ values
    else:  # padding puts zeros around the constant maps, so one of these maps must carry the others
        weight[:, carrier] = torch.einsum("oi...,i->o...", weight, values / values[carrier])
        reads[:, carrier] = reads[:, values != 0].any(1)
        constant[carrier] = False
    weight[:, constant] = 0
    reads[:, constant] = False
    return Folded(weight, bias, reads)


def _outcome(folded: Folded, constants: Tensor) -> Tensor:
    """Return the constants after a layer, in the layout of those before it."""
    outcome = folded.bias.where(~folded.reads.any(1), torch.nan)
    return outcome.view(1, -1, *constants.shape[2:])


def _norm(step: Step, constants: Tensor) -> Tensor:
    """Normalise by the running statistics; a feature whose scale is zero becomes constant."""
    module = step.operation
    scale = (module.running_var.cpu().double() + module.eps).rsqrt()
    shift = torch.zeros_like(scale)
    if module.affine:
        scale, shift = module.weight.cpu().double() * scale, module.bias.cpu().double()
    after: Tensor = (constants.flatten() - module.running_mean.cpu().double()) * scale + shift
    return after.where(scale != 0, shift).view_as(constants)


def _pairs(step: Step, constants: Tensor) -> Tensor:
    first, second = constants.chunk(2, 1)
    return torch.maximum(first, second)  # NaN, varying, if either of the two is


_CONSTANTS: dict[Effect, Callable[..., Tensor]] = {
    "images": lambda _: torch.full((1, 1, 1, 1), torch.nan, dtype=torch.float64),
    "norm": _norm,
    "keep": lambda _, constants: constants,
    "apply": apply,
    "pairs": _pairs,
    "sum": lambda _, first, second: first + second,
    "move": apply,
}
