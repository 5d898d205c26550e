"""Where a training stands, on disk: a training that was killed goes on from there, to the same bits."""

import hashlib
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from numpy.typing import NDArray
from torch import Tensor

from prunet.base import tensors
from prunet.base.errors import InputError


def key(inputs: Mapping[str, Any], *arrays: Mapping[str, NDArray[Any]]) -> str:
    """Name a training by everything that decides its bits: settings and seeds, and arrays by content."""
    digest = hashlib.sha256(json.dumps([torch.__version__, inputs], sort_keys=True).encode())
    for named in arrays:
        for name in sorted(named):
            digest.update(f"{name} {named[name].dtype} {named[name].shape}".encode())
            digest.update(named[name].data)
    return digest.hexdigest()


class Checkpoint:
    """The checkpoint of one training.

    Args:
        path: the file.
        key: of the training: a checkpoint of another one is never used.
        seconds: between two checkpoints, so the most that a kill costs.
    """

    def __init__(self, path: Path, key: str, seconds: float) -> None:
        self.path, self.key, self.seconds = path, key, seconds
        self._saved = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], Any] | None:
        """Return what was saved last; None, with a warning, for a damaged file or one of another training."""
        if not self.path.exists():
            return None
        try:
            arrays, about = tensors.read(self.path)
        except InputError:
            return self._ignore("is damaged")
        if about.get("key") != self.key:
            return self._ignore("is of another training")
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, about["state"]

    def _ignore(self, reason: str) -> tuple[dict[str, Tensor], Any] | None:
        click.echo(f"warning: {self.path} {reason}: it is ignored, and its training begins anew.", err=True)
        return None

    def due(self) -> bool:
        """Return whether it is time to save again."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, named: Mapping[str, Tensor], state: Any) -> None:
        """Write tensors and `state`, which must be JSON."""
        arrays = {name: tensor.cpu().contiguous().numpy() for name, tensor in named.items()}
        tensors.write(self.path, arrays, {"key": self.key, "state": state})
        self._saved = time.monotonic()
