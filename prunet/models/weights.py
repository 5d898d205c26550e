"""Weights that a study's networks start from: of a file, or pretrained ones of a library."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from prunet.base.errors import InputError, cause
from prunet.models import heads, libraries
from prunet.models.inputs import Shape
from prunet.models.state import first_names, state

NAMED = 3  # tensors that a message names
COUNTER = "num_batches_tracked"  # of a batch norm; files from before PyTorch 0.4.1 lack it


def load(study: Mapping[str, Any], model: nn.Module, shape: Shape) -> dict[str, Tensor]:
    """Return the tensors that a study's networks start from, by the names of `state`; none if it draws all.

    With `head: replace` those of the head are not among them.

    Args:
        study: its `model`, `weights` and `head`.
        model: of the study, on the CPU or `meta`.
        shape: (C, H, W) of an image.

    Raises:
        InputError: the weights cannot be read or fetched, or do not fit the model.
    """
    if study["weights"] == "none":
        return {}
    if study["weights"] == "pretrained":
        found = _fetch(study["model"], shape[0])
    else:
        found = read(Path(study["weights"]))
    aliases = first_names(model)
    expected = state(model)
    found = {aliases.get(name, name): tensor for name, tensor in found.items()}
    if study["head"] == "replace":
        own = heads.prefix(model, shape)
        found, expected = (
            {name: tensor for name, tensor in tensors.items() if not name.startswith(own)}
            for tensors in (found, expected)
        )
    if wrong := _differences(found, expected):
        raise InputError(f"the weights {study['weights']} do not fit {study['model']}: {wrong}.")
    loaded = {name: tensor.to(expected[name].dtype) for name, tensor in found.items()}
    if bad := [name for name, tensor in loaded.items() if not tensor.isfinite().all()]:
        raise InputError(f"the weights {study['weights']} have values that are not finite: {_some(bad)}.")
    return loaded


def read(path: Path) -> dict[str, Tensor]:
    """Read named tensors from a safetensors file or from a state dict that `torch.save` wrote.

    A dict around them with the key `state_dict` or `model` is unwrapped, and so are names that DataParallel
    begins with `module.`. Nothing in the file is executed.

    Raises:
        InputError: the file is missing or damaged, or holds something else.
    """
    try:
        if path.suffix == ".safetensors":
            found: Any = safetensors.torch.load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"the weights {path} cannot be read ({error.strerror or cause(error)}).") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"the weights {path} are not a state dict alone: save model.state_dict(), not the model."
        ) from None
    except (SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise InputError(f"the weights {path} are damaged ({cause(error)}).") from None
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise InputError(f"the weights {path} are not a state dict of tensors: save model.state_dict().")
    if found and all(str(name).startswith("module.") for name in found):
        found = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    return dict(found)


def _fetch(model: str, channels: int) -> dict[str, Tensor]:
    library, name = libraries.pretrained(model)
    try:
        return state(library.pretrained(name, channels))
    except Exception as error:  # of the network, the disk, the library
        first = error.__cause__ or error  # where the library wraps it in advice
        raise InputError(
            f"the pretrained weights of {model} cannot be fetched ({cause(first)}): try again, or set "
            "weights to the path of a file."
        ) from None


def _differences(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Describe missing, unexpected and misshapen tensors; empty if there are none."""
    missing = [name for name in expected if name not in found and not name.endswith(COUNTER)]
    unexpected = [name for name in found if name not in expected]
    misshapen = [
        f"{name} {tuple(found[name].shape)} instead of {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and found[name].shape != tensor.shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": misshapen}
    return "; ".join(f"{len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
