"""Networks by name: built-in ones, those of torchvision and timm, and functions of one's own."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from prunet.base.errors import InputError, cause, place, without_gpu
from prunet.models import built_in, factors, functions, heads, libraries
from prunet.models.inputs import Shape
from prunet.models.state import state

DTYPES = (torch.float32, torch.int64, torch.bool)  # of the tensors that a study stores


def build(name: str, shape: Shape, classes: int) -> nn.Module:
    """Build a network.

    Args:
        name: of a built-in network, `torchvision:NAME`, `timm:NAME`, `PACKAGE.MODULE:FUNCTION`, or
            `path/to/file.py:FUNCTION`. The function returns a module; it is called with `num_classes` if it
            takes that, otherwise without arguments. What a file imports is looked for in the working folder.
        shape: (C, H, W) of an image.
        classes: their number.

    Raises:
        InputError: there is no such network, it does not fit the images, or its tensors have types that
            prunet does not train.
    """
    if name in built_in.MODELS:
        return built_in.MODELS[name](shape, classes)
    if ":" not in name:
        raise InputError(f"model {name[:50]!r} is not one of {', '.join(built_in.MODELS)}.")
    try:
        if found := libraries.find(name):
            library, own = found
            model: Any = library.build(own, shape[0], classes)
        else:
            model = functions.call(functions.find(name), classes)
    except InputError:
        raise
    except Exception as error:  # of code that is not ours
        raise InputError(f"{name} cannot be built ({cause(error)}).") from None
    if not isinstance(model, nn.Module):
        raise InputError(
            f"{name} returns an object of type {type(model).__name__}: return a torch.nn.Module."
        )
    if any(map(is_lazy, model.parameters())):
        _run(name, model, shape)  # gives lazy layers their sizes
    wrong = [f"{key} ({tensor.dtype})" for key, tensor in state(model).items() if tensor.dtype not in DTYPES]
    if wrong:
        raise InputError(f"{name} has tensors that are not float32, int64 or bool: {', '.join(wrong[:3])}.")
    if not built_in.prunable(model):
        raise InputError(f"{name} has no linear layer or convolution that prunet can prune.")
    return model


def build_for(study: Mapping[str, Any], shape: Shape, classes: int) -> nn.Module:
    """Build the network of a study, with a head for its classes if the study replaces it.

    Args:
        study: its `model`, its `head` if that is replaced, and the `ranks` of layers in two parts, if there
            are any (`factors.divide`).
        shape, classes: as of `build`.

    Raises:
        InputError: as `build`, the head cannot be replaced, or the ranks do not fit.
    """
    model = build(study["model"], shape, classes)
    if study.get("head") == "replace":
        heads.replace(model, shape, check(study["model"], model, shape, None), classes)
    factors.divide(model, study.get("ranks", {}))
    return model


def check(name: str, model: nn.Module, shape: Shape, classes: int | None) -> int:
    """Run a network once and return the number of its outputs, which must be one for each class.

    Args:
        name: of the network, for messages.
        model: on the CPU.
        shape: (C, H, W) of an image.
        classes: their number; None if it is not known yet.

    Raises:
        InputError: the image does not fit or is changed, or the output is not a tensor (1, classes).
    """
    output = _run(name, model, shape)
    if not isinstance(output, Tensor):
        raise InputError(
            f"{name} returns a {type(output).__name__} in evaluation mode: return one tensor, the logits."
        )
    if output.ndim != 2 or len(output) != 1:
        raise InputError(
            f"{name} maps an image to {tuple(output.shape)}, not to (1, classes): return one logit a class."
        )
    if classes not in (None, output.shape[1]):
        raise InputError(
            f"{name} has {output.shape[1]} outputs for {classes} classes: set head: replace, or let the "
            "function take num_classes."
        )
    return output.shape[1]


def _run(name: str, model: nn.Module, shape: Shape) -> Any:
    device = next(model.parameters()).device
    image = torch.linspace(-0.9, 0.9, math.prod(shape), device=device).view(1, *shape)
    given = image.clone()
    try:
        output = built_in.run_once(model, given)
    except Exception as error:
        raise without_gpu(name, error) or InputError(
            f"{name} fails on images of {shape} (channels, height, width; {cause(error)}{place(error)}): set "
            "the study's input_size or choose another model."
        ) from None
    if device.type != "meta" and not torch.equal(given, image):
        raise InputError(f"{name} changes its images in place: let its first operation make a new tensor.")
    return output
