"""Smaller network with the outputs of the masked one, proven before it is returned."""

import copy
from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from prunet.base.errors import InputError
from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import Units, units_of
from prunet.structure.labels import ATTENTION
from prunet.structure.masks import removed_units, unit_masks
from prunet.structure.program import Example, inputs_of, takes_batch, write_program
from prunet.structure.proof import EXACT, difference, first_difference, random_inputs
from prunet.structure.slicing import slice_model


def shrink(model: nn.Module, example: Example, masks: Mapping[str, Tensor]) -> nn.Module:
    """Return a smaller model that lacks the units that masks remove, with the same outputs.

    It is a model of the same class with smaller tensors, where that runs and is equal. Otherwise, as where
    the widths of attention are written into the Python code, it is the program that `torch.export` writes, a
    plain `torch.fx.GraphModule` in evaluation mode. Attention loses whole heads or gets narrower heads,
    whichever leaves fewer parameters.

    Args:
        model: with its weights; removed ones count as zero. It is not changed.
        example: inputs of the model, each (N, ...), a tensor or several.
        masks: from `prune`.

    Raises:
        InputError: a mask fits no parameter, or the model cannot be exported.
        RuntimeError: the outputs differ, which is an error of prunet.
    """
    whole = copy.deepcopy(model)
    apply_masks(whole, masks)
    units, gone = _removed(write_program(whole, example), masks)
    given = inputs_of(example)
    more = len(given[0]) + 1
    any_size = takes_batch(units.walk.program, given, more)
    samples = [given, random_inputs(given, more if any_size else len(given[0]))]
    own = slice_model(whole, units, units.alive(gone))
    try:
        if all(difference(whole, own, inputs) <= EXACT for inputs in samples):
            return own
    except (RuntimeError, ValueError, IndexError, AssertionError):
        pass  # the class has its widths written into its code
    if not any_size:
        raise InputError(
            f"{type(model).__name__} would shrink to a program for batches of {len(given[0])} alone, because "
            "its code turns the size of the batch into a number; write x.shape[0] for it, and -1 in views."
        )
    masked, program = cut(units, gone)
    for inputs in samples:
        found = difference(whole, program, inputs)
        if not found <= EXACT:
            place = first_difference(units, gone, masked, program, given)
            raise RuntimeError(
                f"the smaller network's outputs differ by {found:.1e} of the largest, first at {place}: an "
                "error of prunet, which we would like to hear of."
            )
    return program


def _removed(program: fx.GraphModule, masks: Mapping[str, Tensor]) -> tuple[Units, list[NDArray[np.bool_]]]:
    """Return the units of a program, and the removed ones of each group.

    Masks that remove more than whole heads may have removed the same elements of all heads.
    """
    found = []
    for attention in ATTENTION:
        units = units_of(program, attention)
        gone = removed_units(units, masks)
        found.append((count(units, gone)["parameters"], units, gone))
        whole = unit_masks(units, gone)
        if not any((~mask & whole.get(name, torch.tensor(True))).any() for name, mask in masks.items()):
            break
    _, units, gone = min(found, key=lambda each: each[0])
    return units, gone


def apply_masks(model: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Set the removed weights of a model to zero, in place; call it after each step of the optimizer.

    Raises:
        InputError: a mask fits no parameter of the model.
    """
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or parameters[name].shape != mask.shape:
            raise InputError(
                f"mask {name} {tuple(mask.shape)} fits no parameter; use the masks of this model."
            )
        with torch.no_grad():
            parameters[name].mul_(mask.to(parameters[name].device))
