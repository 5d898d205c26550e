"""What of a pruned network is constant: features that no varying feature reaches through surviving weights.

Constants are noted as the features of one image with one position, (1, n) or (1, n, 1, 1) float64, NaN where
a feature varies. An image is noted as one map, of all channels. Flattening leaves the notes as they are, and
the fully connected layer behind it spreads them over the maps' positions.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.graph.features import apply
from prunet.graph.trace import Effect, Step
from prunet.pruning.masks import Masks


class Folded(NamedTuple):
    """A layer that has its constant inputs in itself."""

    weight: Tensor  # (out, in, ...) float64, zero where pruned or folded
    bias: Tensor  # (out,) float64
    reads: Tensor  # (out, in) bool: which features depend on which features before the layer


def fold(steps: Sequence[Step], masks: Masks) -> tuple[list[Tensor], dict[str, Folded]]:
    """Find the constants that every step gives, and the layers, by name, with these folded into them.

    Args:
        steps: of a model in evaluation mode.
        masks: (*shape) by weight, True where it survives. A layer without a mask is dense.
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


def spread(notes: Tensor, count: int) -> Tensor:
    """Repeat each map's note (n,) for its positions, or the image's for its channels or pixels."""
    return notes.repeat_interleave(count // len(notes))


def _fold(step: Step, mask: NDArray[np.bool_] | None, constants: Tensor) -> Folded:
    """Move the layer's constant inputs into its bias, or into one of them where that is not exact."""
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
    else:  # zeros stand around the constant maps, but one map can carry them all
        weight[:, carrier] = torch.einsum("oi...,i->o...", weight, values / values[carrier])
        reads[:, carrier] = reads[:, values != 0].any(1)
        constant[carrier] = False
    weight[:, constant] = 0
    reads[:, constant] = False
    return Folded(weight, bias, reads)


def _outcome(folded: Folded, constants: Tensor) -> Tensor:
    """Return the constants after a layer, laid out as those before it."""
    outcome = folded.bias.where(~folded.reads.any(1), torch.nan)
    return outcome.view(1, -1, *constants.shape[2:])


def _images(step: Step) -> Tensor:
    return torch.full((1, 1, 1, 1), torch.nan, dtype=torch.float64)


def _norm(step: Step, constants: Tensor) -> Tensor:
    """Normalise by the running statistics; a feature that is scaled by zero is constant, whatever it was."""
    module = step.operation
    scale = (module.running_var.cpu().double() + module.eps).rsqrt()
    shift = torch.zeros_like(scale)
    if module.affine:
        scale, shift = module.weight.cpu().double() * scale, module.bias.cpu().double()
    after: Tensor = (constants.flatten() - module.running_mean.cpu().double()) * scale + shift
    return after.where(scale != 0, shift).view_as(constants)


def _keep(step: Step, constants: Tensor) -> Tensor:
    return constants


def _pairs(step: Step, constants: Tensor) -> Tensor:
    first, second = constants.chunk(2, 1)
    return torch.maximum(first, second)  # varies where one of the two does


def _sum(step: Step, first: Tensor, second: Tensor) -> Tensor:
    return first + second


_CONSTANTS: dict[Effect, Callable[..., Tensor]] = {
    "images": _images,
    "norm": _norm,
    "keep": _keep,
    "apply": apply,
    "pairs": _pairs,
    "sum": _sum,
    "move": apply,
}
