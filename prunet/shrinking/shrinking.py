"""Shrinking of a pruned network: an ordinary, smaller network with the same outputs.

Two passes over the network find the features to remove. The forward pass finds constants: features that no
varying feature reaches through surviving weights, so that only biases determine them. The backward pass finds
needed features: those that a surviving weight of a needed feature reads. Removing the others makes no needed
feature constant, so one pass in each direction is enough.

The branches of a sum, and the halves of a max-feature-map, keep the same features: those needed from any of
them. A layer whose output includes a constant feature, or one that is only needed from another branch, has a
row of zeros there.
"""

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.shrinking.cutting import cut_layer, cut_move, cut_norm
from prunet.shrinking.features import Ids, number_features, route
from prunet.shrinking.folding import Folded, fold, spread
from prunet.shrinking.trace import Step, trace


@torch.no_grad()
def shrink(model: nn.Module, masks: dict[str, NDArray[np.bool_]]) -> nn.Module:
    """Return a smaller model that maps images of the same shape to the same outputs, up to rounding.

    It lacks the units, filters, maps and pixels that no surviving weight reaches, or that do not reach the
    outputs. The constant output of an unreached unit moves into the biases of the next layer. Before a
    convolution with padding, where a bias is not exact at the border, one map is kept and carries all
    constant maps that are not zero. A constant half of a max-feature-map is kept if the other half varies,
    and so is a constant map that is added to a varying one. All outputs are kept.

    The smaller model has the same modules with smaller tensors. A layer that reads only part of its input,
    such as some of the pixels, becomes a sequence of `select` and `layer`; such a shortcut becomes one of
    `interleave`, `move` and `select`. Pruned weights that remain in the tensors are exactly zero, so
    `weight != 0` can serve as the mask of a sparse execution.

    Args:
        model: with its weights; pruned ones count as zero. It is not changed; the smaller one is in
            evaluation mode.
        masks: (*shape) by weight name, True where a weight survives. A layer without a mask is dense.

    Raises:
        InputError: the model has an operation that `prunet.shrinking.trace` does not support, or the masks
            belong to another model.
    """
    smaller = copy.deepcopy(model).eval()
    steps = trace(smaller)
    check_masks(masks, {step.name: step.operation for step in steps if step.effect == "layer"})
    ids = number_features(steps, channels=1, across_moves=False)
    known, folded = fold(steps, masks)
    constants = [values.flatten() for values in known]
    needed = _needed(steps, constants, folded)
    present = _present(steps, ids, needed)
    some = next(smaller.parameters())
    for number, step in enumerate(steps):
        if step.effect == "layer":
            layer, given = folded[step.name], present[step.inputs[0]]
            given = spread(given, layer.reads.shape[1])
            module = cut_layer(step.operation, layer, present[number], needed[number], given)
        elif step.effect == "norm":
            module = cut_norm(step.operation, present[number])
        elif step.effect == "move" and _can_wrap(step):
            before = step.inputs[0]
            # The input may hold an unneeded constant with another value, because a sum keeps the map.
            used = present[before] & (needed[before] | constants[before].isnan())
            fixed = constants[before].nan_to_num().to(some)
            module = cut_move(step.operation, present[before], used, fixed, present[number])
        else:
            continue
        smaller.set_submodule(step.name, module)
    return smaller


def check_masks(masks: dict[str, NDArray[np.bool_]], layers: Mapping[str, nn.Module]) -> None:
    """Raise an `InputError` unless each mask, by weight name, has the shape of the weight of a layer."""
    shapes = {f"{name}.weight": layer.weight.shape for name, layer in layers.items()}
    for name, mask in masks.items():
        if shapes.get(name) != mask.shape:
            raise InputError(f"mask {name} {mask.shape} fits no layer; use the masks of this model.")


def _needed(steps: Sequence[Step], constants: Sequence[Tensor], folded: dict[str, Folded]) -> list[Tensor]:
    """Return, for every step, the features (n,) bool that the outputs depend on."""
    needed = [torch.zeros(len(values), dtype=torch.bool) for values in constants]
    needed[-1][:] = True
    for step, after in zip(reversed(steps), reversed(needed), strict=True):
        for number in step.inputs:
            before = needed[number]
            if step.effect == "layer":
                before |= folded[step.name].reads[after].any(0).view(len(before), -1).any(1)
            elif step.effect == "pairs":
                before |= torch.cat([after, after])
            elif step.effect == "move":
                source = torch.from_numpy(route(step, len(before)))[after]
                moved = torch.zeros_like(before).index_fill_(0, source[source >= 0], True)
                before |= moved & constants[number].isnan() if _can_wrap(step) else moved
            else:
                before |= after
    return needed


def _present(steps: Sequence[Step], ids: Sequence[Ids], needed: Sequence[Tensor]) -> list[Tensor]:
    """Return, for every step, the features (n,) bool that it has in the smaller network."""
    present = np.zeros(max(own.max() for own in ids) + 1, bool)
    for own, wanted in zip(ids, needed, strict=True):
        present[own[wanted.numpy()]] = True
    for number, step in enumerate(steps):
        if step.effect == "images":
            present[ids[number]] = True
        elif step.effect == "move" and not _can_wrap(step):
            present[ids[number]] = present[ids[step.inputs[0]]] = True
    for own in ids:
        present[own[0]] |= not present[own].any()  # unused, but runtimes reject empty tensors
    return [torch.from_numpy(present[own]) for own in ids]


def _can_wrap(step: Step) -> bool:
    """Return whether a `move` is a module, which can be wrapped; code in a `forward` cannot be changed."""
    return isinstance(step.operation, nn.Module)
