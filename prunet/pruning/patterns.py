"""N:M patterns: of every M consecutive weights along a layer's inputs, the N with the highest scores stay.

Along the inputs means dimension 1: of a linear layer its inputs, of a convolution the input channels at each
position of a filter, as in NVIDIA's sparsity for Ampere GPUs (Mishra et al. 2021, section 4.1). A filter in
channels-last order, `weight.permute(0, 2, 3, 1).flatten(1)`, is then a row of a matrix with the pattern.
"""

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from prunet.base.errors import InputError
from prunet.cells.masks import Masks
from prunet.models import built_in
from prunet.pruning.criteria import CRITERIA, Evidence
from prunet.pruning.removal import Scores, check_numbers


def parse(pattern: str) -> tuple[int, int]:
    """Return N and M of a pattern such as `2:4`.

    Raises:
        InputError: it is not of this form, or N is not between 0 and M.
    """
    found = re.fullmatch(r"(\d{1,3}):(\d{1,3})", pattern)
    if found and 0 < int(found[1]) < int(found[2]):
        return int(found[1]), int(found[2])
    raise InputError(f"pattern is {pattern!r}; give N:M with N from 1 to below M, such as '2:4', in quotes.")


def removed(pattern: str) -> float:
    """Return the share of the weights that a pattern removes, 0 to 1."""
    count, width = parse(pattern)
    return 1 - count / width


def check(pattern: str, criterion: str, scope: str, target: Mapping[str, float]) -> None:
    """Refuse a pattern with settings that would decide in its place what stays.

    Raises:
        InputError: the pattern is wrong, the criterion is of units, the scope is not `layer`, or there is a
            target.
    """
    parse(pattern)
    if criterion not in CRITERIA:
        raise InputError(
            f"pattern {pattern} keeps single weights, and criterion {criterion} removes whole units; choose "
            "a criterion of single weights, or no pattern."
        )
    if target or scope != "layer":
        other = "a target" if target else f"scope {scope}"
        raise InputError(
            f"pattern {pattern} leaves every layer the same share, and {other} would decide on it; set scope "
            "to layer and no target, or no pattern."
        )


def whole_layers(model: nn.Module, pattern: str, own: Mapping[str, float]) -> list[str]:
    """Return the prunable weights of a model that a pattern does not fit, which stay whole.

    These are the weights whose inputs are not a multiple of M, such as the first convolution's three
    channels and depthwise convolutions, and those of transposed convolutions, which list their inputs first.

    Args:
        model: on any device.
        pattern: N:M.
        own: {weight: rate} of layers with their own rate.

    Raises:
        InputError: a layer has its own rate other than 0, or the pattern fits no other layer.
    """
    _, width = parse(pattern)
    for name, rate in own.items():
        if rate:
            raise InputError(
                f"pattern {pattern} decides the rate of every layer, and {name} has its own, {rate:g}; leave "
                "the layer out, or set no pattern."
            )
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    names = [name for name in built_in.prunable(model) if name not in own]
    whole = [
        name
        for name in names
        if model.get_parameter(name).shape[1] % width
        or isinstance(model.get_submodule(name.rpartition(".")[0]), transposed)
    ]
    if len(whole) == len(names):
        raise InputError(
            f"pattern {pattern} fits no layer: none has a number of inputs that is a multiple of {width}; "
            "choose another pattern or model."
        )
    return whole


def thin(evidence: Evidence, criterion: str, pattern: str, own: Mapping[str, float]) -> Masks:
    """Return the masks (*shape) of one network under a pattern; layers in `own` stay as they are.

    Raises:
        InputError: a score is NaN.
    """
    scores = CRITERIA[criterion](evidence)
    check_numbers(scores, evidence.masks)
    return {
        name: mask if name in own else keep_best(scores[name], mask, pattern)
        for name, mask in evidence.masks.items()
    }


def keep_best(scores: Scores, mask: NDArray[np.bool_], pattern: str) -> NDArray[np.bool_]:
    """Return `mask` with at most the best N of every M consecutive weights along dimension 1.

    Of equal scores the earlier go first, and before all others those that the mask has removed.

    Args:
        scores: (out, in, *positions); M divides `in`.
        mask: (out, in, *positions), the current survivors.
        pattern: N:M.
    """
    count, width = parse(pattern)
    rows = np.moveaxis(np.where(mask, scores, -np.inf), 1, -1)
    groups = rows.reshape(-1, width)
    kept = np.ones(groups.shape, bool)
    lowest = np.argsort(groups, axis=1, kind="stable")[:, : width - count]
    np.put_along_axis(kept, lowest, False, axis=1)
    return mask & np.moveaxis(kept.reshape(rows.shape), -1, 1)
