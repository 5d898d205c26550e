"""Networks of torchvision and timm: how they are built, and what their pretrained weights expect."""

import difflib
import importlib
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from typing import Any, NamedTuple

from torch import nn

from prunet.base.errors import InputError

# Auxiliary outputs serve training alone. Pretrained, these two map the pixels of ImageNet to their own range.
GOOGLE = {"aux_logits": False, "transform_input": True, "init_weights": True}
ARGUMENTS = {"googlenet": GOOGLE, "inception_v3": GOOGLE}


class Library(NamedTuple):
    """A library of networks, imported when one of its networks is asked for: torchvision crashes beside
    TensorFlow, and timm is optional.

    Attributes:
        names: lists the networks.
        build: returns a network by name, for a number of channels and of classes.
        pretrained: returns a network by name with its pretrained weights, for a number of channels and with
            the classes of these weights.
        moments: returns the mean and the standard deviation of each channel, 0 to 1, that pretrained images
            were normalised by.
    """

    names: Callable[[], Iterable[str]]
    build: Callable[[str, int, int], nn.Module]
    pretrained: Callable[[str, int], nn.Module]
    moments: Callable[[str], tuple[Sequence[float], Sequence[float]]]


def _torchvision() -> Any:
    return importlib.import_module("torchvision.models")


def _timm() -> Any:
    try:
        return importlib.import_module("timm")
    except ModuleNotFoundError:
        raise InputError("networks of timm need timm, which is not installed: pip install timm") from None


def _torchvision_moments(name: str) -> tuple[Sequence[float], Sequence[float]]:
    transforms = _torchvision().get_model_weights(name).DEFAULT.transforms()
    return transforms.mean, transforms.std


def _timm_moments(name: str) -> tuple[Sequence[float], Sequence[float]]:
    found = _timm().get_pretrained_cfg(name)
    return found.mean, found.std


LIBRARIES = {
    "torchvision": Library(
        names=lambda: _torchvision().list_models(module=_torchvision()),
        build=lambda name, channels, classes: _torchvision().get_model(
            name, num_classes=classes, **ARGUMENTS.get(name, {})
        ),
        pretrained=lambda name, channels: _torchvision().get_model(name, weights="DEFAULT", progress=False),
        moments=_torchvision_moments,
    ),
    "timm": Library(
        names=lambda: _timm().list_models(),
        build=lambda name, channels, classes: _timm().create_model(
            name, num_classes=classes, in_chans=channels
        ),
        pretrained=lambda name, channels: _timm().create_model(name, pretrained=True, in_chans=channels),
        moments=_timm_moments,
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


def moments(model: str, channels: int) -> dict[str, list[float]]:
    """Return the `mean` and `std` of each channel, 0 to 1, that a network's pretrained images had.

    Of gray images it is the mean over the colours.
    """
    found = find(model)
    assert found
    library, name = found
    mean, std = (list(values) for values in library.moments(name))
    if channels == 1:
        mean, std = ([sum(values) / len(values)] for values in (mean, std))
    return {"mean": mean, "std": std}
