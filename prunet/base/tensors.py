"""Named tensors and what is to be said about them, in one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from prunet.base.errors import InputError
from prunet.base.files import replacing

Tensors = dict[str, NDArray[Any]]


def write(path: Path, tensors: Tensors, about: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON values of `about`; equal input gives equal bytes."""
    with replacing(path) as partial:
        # One metadata key: safetensors does not keep the order of several, and the bytes must not vary.
        save_file(tensors, partial, {"prunet": json.dumps(about)})


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read what `write` wrote: tensors (in no particular order) and what is said about them.

    Raises:
        InputError: the file is missing, cut short, or not one of prunet's.
    """
    try:
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            return tensors, json.loads(file.metadata()["prunet"])
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: run the stage that writes it first.") from None
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is damaged ({error}): run the stage that writes it again.") from None
