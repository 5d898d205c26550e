"""Named tensors and what is to be said about them, in one safetensors file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from prunet.base.errors import InputError
from prunet.base.files import reading, replacing

Tensors = dict[str, NDArray[Any]]


def write(path: Path, tensors: Tensors, about: Mapping[str, Any]) -> None:
    """Write `tensors` and the JSON values of `about`; equal input gives equal bytes."""
    with replacing(path) as partial:
        # One metadata key: safetensors does not keep the order of several, and the bytes must not vary. Its
        # save_file() would hide from the system's errors, and from those who may read the file.
        partial.write_bytes(save(tensors, {"prunet": json.dumps(about)}))


def read(path: Path) -> tuple[Tensors, dict[str, Any]]:
    """Read what `write` wrote: tensors (in no particular order) and what is said about them.

    Raises:
        InputError: the file is missing, cut short, or not one of prunet's.
    """
    try:
        with reading(path), safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            about = json.loads(file.metadata()["prunet"])
            if not isinstance(about, dict):
                raise ValueError("what is said about its tensors is no JSON object")
            return tensors, about
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}): run the stage that writes it again.") from None
