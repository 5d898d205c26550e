"""Named tensors and their metadata in one safetensors file."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from prunet.base.errors import InputError
from prunet.base.files import reading, replacing

Tensors = dict[str, NDArray[Any]]


def write(path: Path, tensors: Tensors, metadata: Mapping[str, Any]) -> None:
    """Write `tensors` and `metadata` (JSON values); equal input gives equal bytes."""
    with replacing(path) as partial:
        # One metadata key, because safetensors does not keep the order of several. Not `save_file`, which
        # replaces the system's errors with its own and writes a file that only its owner can read.
        partial.write_bytes(save(tensors, {"prunet": json.dumps(metadata)}))


def read(path: Path, only: Collection[str] | None = None) -> tuple[Tensors, dict[str, Any]]:
    """Read the tensors (in no particular order) and the metadata of a file that `write` wrote.

    Args:
        path: the file.
        only: names of the tensors to read; None: all.

    Raises:
        InputError: the file is missing, truncated, or was not written by prunet.
    """
    try:
        with reading(path), safe_open(path, "numpy") as file:
            names = file.keys() if only is None else only
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = json.loads(file.metadata()["prunet"])
            if not isinstance(metadata, dict):
                raise ValueError("its metadata is not a JSON object")
            return tensors, metadata
    except (SafetensorError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); run the stage that writes it again.") from None
