"""Networks of torchvision and timm: how they are built, and what their pretrained weights expect."""

import difflib
import importlib
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from torch import nn

from prunet.base.errors import InputError, cause

# Auxiliary outputs serve training alone. Pretrained, these two map the pixels of ImageNet to their own range.
GOOGLE = {"aux_logits": False, "transform_input": True, "init_weights": True}
ARGUMENTS = {"googlenet": GOOGLE, "inception_v3": GOOGLE}


class Library(NamedTuple):
    """A library of networks, imported when one of them is asked for.

    torchvision crashes beside TensorFlow, and timm is optional.

    Attributes:
        names: lists the networks.
        build: returns a network by name, for a number of channels and of classes.
        pretrained: returns a network by name with its pretrained weights, for a number of channels and with
            the classes of these weights.
        images: returns what pretrained weights expect: pixels a side, interpolation, and the mean and the
            standard deviation of each channel, 0 to 1.
    """

    names: Callable[[], Iterable[str]]
    build: Callable[[str, int, int], nn.Module]
    pretrained: Callable[[str, int], nn.Module]
    images: Callable[[str], tuple[int, str, Sequence[float], Sequence[float]]]


def _torchvision() -> Any:
    return importlib.import_module("torchvision.models")


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        raise InputError("networks of timm need timm, which is not installed: pip install timm") from None


def _torchvision_images(name: str) -> tuple[int, str, Sequence[float], Sequence[float]]:
    found = _torchvision().get_model_weights(name).DEFAULT.transforms()
    return found.crop_size[0], found.interpolation.value, found.mean, found.std


def _timm_images(name: str) -> tuple[int, str, Sequence[float], Sequence[float]]:
    found = _timm().get_pretrained_cfg(name)
    return found.input_size[-1], found.interpolation, found.mean, found.std


LIBRARIES = {
    "torchvision": Library(
        names=lambda: _torchvision().list_models(module=_torchvision()),
        build=lambda name, channels, classes: _torchvision().get_model(
            name, num_classes=classes, **ARGUMENTS.get(name, {})
        ),
        pretrained=lambda name, channels: _torchvision().get_model(name, weights="DEFAULT", progress=False),
        images=_torchvision_images,
    ),
    "timm": Library(
        names=lambda: _timm().list_models(),
        build=lambda name, channels, classes: _timm().create_model(
            name, num_classes=classes, in_chans=channels
        ),
        pretrained=lambda name, channels: _timm().create_model(name, pretrained=True, in_chans=channels),
        images=_timm_images,
    ),
}


def find(model: str) -> tuple[Library, str] | None:
    """Return the library and the network's name in it, or None if the `model` is from elsewhere.

    Raises:
        InputError: the library is not installed, or has no network of this name.
    """
    library, _, name = model.partition(":")
    if library not in LIBRARIES:
        return None
    names = list(LIBRARIES[library].names())
    if name.partition(".")[0] not in names:  # timm names the weights behind a full stop
        close = difflib.get_close_matches(name, names, n=1)
        raise InputError(
            f"{library} has no network {name!r} for images"
            + (f": did you mean {close[0]}?" if close else ".")
        )
    return LIBRARIES[library], name


def release(model: str) -> str:
    """Return a library and its version, such as `torchvision 0.29.1`."""
    library = model.partition(":")[0]
    return f"{library} {version(library)}"


def images(model: str, channels: int) -> dict[str, Any]:
    """Return the images that a network's pretrained weights expect.

    Returns:
        `input_size` (pixels a side), `interpolation` (bilinear or bicubic) and `normalise`: the `mean` and
        `std` of each channel, 0 to 1; of gray images the means over the colours.

    Raises:
        InputError: the model is of no library, or has no pretrained weights.
    """
    library, name = pretrained(model)
    try:
        size, interpolation, *moments = library.images(name)
    except Exception as error:  # of a name that has none
        raise InputError(f"{model} has no pretrained weights ({cause(error)}).") from None
    if channels == 1:
        moments = [[sum(values) / len(values)] for values in moments]
    mean, std = (list(values) for values in moments)
    return {"input_size": size, "interpolation": interpolation, "normalise": {"mean": mean, "std": std}}


def pretrained(model: str) -> tuple[Library, str]:
    """Return the library and the network's name in it, as `find`, of a model with pretrained weights.

    Raises:
        InputError: the model is of no library.
    """
    found = find(model)
    if not found:
        raise InputError(
            f"weights: pretrained needs a model of torchvision or timm, and the model is {model}: give the "
            "path of a file instead."
        )
    return found
