"""Checkpoints of training runs: a run that was killed resumes from its last one, to the same bits."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from prunet.base import files, tensors
from prunet.base.errors import InputError


class Checkpoint:
    """The checkpoint file of one training run.

    Args:
        path: the file.
        key: names everything that decides the run's bits: a checkpoint with another key is never used.
        seconds: between two checkpoints, and so the most that a kill costs.
    """

    def __init__(self, path: Path, key: str, seconds: float) -> None:
        self.path, self.key, self.seconds = path, key, seconds
        self._saved = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], Any] | None:
        """Return the last saved tensors and values; None, with a warning, if they cannot be used."""
        self._saved = time.monotonic()  # the run starts now: until then it may have waited for a worker
        if not self.path.exists():
            return None
        try:
            arrays, metadata = tensors.read(self.path)
        except InputError:
            return self._ignore("is damaged")
        if metadata.get("key") != self.key:
            return self._ignore("belongs to other code, parameters, data or another processor")
        return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata["values"]

    def _ignore(self, reason: str) -> tuple[dict[str, Tensor], Any] | None:
        click.echo(f"warning: {self.path} {reason}; training starts from the beginning.", err=True)
        return None

    def receive(self, content: bytes) -> None:
        """Write what another machine has saved."""
        with files.replacing(self.path) as partial:
            partial.write_bytes(content)

    def due(self) -> bool:
        """Return whether it is time to save again."""
        return time.monotonic() - self._saved >= self.seconds

    def save(self, named: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Write tensors, and values for JSON."""
        arrays = {name: tensor.cpu().contiguous().numpy() for name, tensor in named.items()}
        tensors.write(self.path, arrays, {"key": self.key, "values": dict(values)})
        self._saved = time.monotonic()
