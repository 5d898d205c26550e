"""A pruned network without what pruning left idle: a smaller, ordinary one with the same outputs.

Two passes over the network find what can go. Forwards: a feature that no varying feature reaches through
surviving weights is a constant, made of biases. Backwards: a feature is needed if a surviving weight of a
needed feature reads it. What the second pass removes makes nothing constant that is still needed, so these
two reach the fixed point.

The branches of a sum, and the halves of a max-feature-map, keep the same features: those that are needed of
any of them. A layer that must give a feature that is not needed of it, or is a constant, has a row of zeros.
"""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.graph.cutting import cut_layer, cut_move, cut_norm
from prunet.graph.features import Ids, classes, route
from prunet.graph.folding import Folded, fold, spread
from prunet.graph.trace import Step, trace


@torch.no_grad()
def shrink(model: nn.Module, masks: dict[str, NDArray[np.bool_]]) -> nn.Module:
    """Return a smaller model that maps images of the same shape to the same outputs, up to rounding.

    Units, filters, maps and pixels are gone that no surviving weight reaches or that reach nothing. What an
    unreached unit gave, a constant, is in the biases behind it. In front of a convolution with padding, where
    a bias is not the same at the border, one map stays and stands for all that are constant and not zero. A
    constant half of a max-feature-map stays beside a varying one, and a constant map beside a varying one
    that is added to it. Outputs all stay.

    The smaller model has the same modules with smaller tensors. Where a layer takes only some of what is
    there, such as some pixels, a sequence of `select` and `layer` stands in its place; where a shortcut does,
    one of `place`, `move` and `select`. Pruned weights that are left in its tensors are exactly zero, so that
    `weight != 0` serves as the masks of a sparse execution.

    Args:
        model: with its weights; pruned ones count as zero. It is not changed, and the smaller one is in
            evaluation mode.
        masks: (*shape) by weight, True where it survives. A layer without a mask is dense.

    Raises:
        InputError: the model does something that `prunet.graph.trace` does not know, or the masks are of
            another model.
    """
    smaller = copy.deepcopy(model).eval()
    steps = trace(smaller)
    _check(steps, masks)
    ids = classes(steps, channels=1, across_moves=False)
    known, folded = fold(steps, masks)
    constants = [notes.flatten() for notes in known]
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
        elif step.effect == "move" and _can_place(step):
            before = step.inputs[0]
            # A constant that nothing needs may be there, for the sake of a sum, as something else.
            used = present[before] & (needed[before] | constants[before].isnan())
            fixed = constants[before].nan_to_num().to(some)
            module = cut_move(step.operation, present[before], used, fixed, present[number])
        else:
            continue
        smaller.set_submodule(step.name, module)
    return smaller


def _check(steps: Sequence[Step], masks: dict[str, NDArray[np.bool_]]) -> None:
    shapes = {f"{step.name}.weight": step.operation.weight.shape for step in steps if step.effect == "layer"}
    for name, mask in masks.items():
        if shapes.get(name) != mask.shape:
            raise InputError(f"The mask of {name} {mask.shape} fits no layer: take the masks of this model.")


def _needed(steps: Sequence[Step], constants: Sequence[Tensor], folded: dict[str, Folded]) -> list[Tensor]:
    """Tell which features that a step gives, (n,) bool, the outputs depend on or must be given."""
    needed = [torch.zeros(len(notes), dtype=torch.bool) for notes in constants]
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
                before |= moved & constants[number].isnan() if _can_place(step) else moved
            else:
                before |= after
    return needed


def _present(steps: Sequence[Step], ids: Sequence[Ids], needed: Sequence[Tensor]) -> list[Tensor]:
    """Tell which features every step gives in the smaller network, (n,) bool."""
    present = np.zeros(max(own.max() for own in ids) + 1, bool)
    for own, wanted in zip(ids, needed, strict=True):
        present[own[wanted.numpy()]] = True
    for number, step in enumerate(steps):
        if step.effect == "images":
            present[ids[number]] = True
        elif step.effect == "move" and not _can_place(step):
            present[ids[number]] = present[ids[step.inputs[0]]] = True
    for own in ids:
        present[own[0]] |= not present[own].any()  # idle: runtimes take no empty tensors
    return [torch.from_numpy(present[own]) for own in ids]


def _can_place(step: Step) -> bool:
    """Tell whether constants can be put in the place of maps that a step moves: what is in code stays."""
    return isinstance(step.operation, nn.Module)
