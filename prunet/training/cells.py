"""Cells: the networks of one scheme at one round. A finished cell is reused while its key stays the same."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from prunet.base import code, files
from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.cells import storage
from prunet.cells.masks import Masks, Weights
from prunet.training.plan import TrainingPlan

# The code that decides the bits of a training run, besides the scheme's own file.
DECIDING = (
    "prunet/base/seeds.py",
    "prunet/data/images",
    "prunet/structure",
    "prunet/models",
    "prunet/training",
)


class Job(NamedTuple):
    """Everything that a cell's training needs.

    Attributes:
        weights: start values (N, *shape) of every tensor.
        masks: (N, *shape) of every pruned layer.
        drawn_for: the purpose that the start values, or the values they were trained from, were drawn for:
            the result records its seed with the others.
        plan: of the training.
        whole_units: whether the masks removed whole units, whose biases and norms then stay zero too.
        teachers: weights (N, *shape) of trained networks, by the setting `distill`; None without it.
    """

    weights: Weights
    masks: Masks
    drawn_for: tuple[str, ...]
    plan: TrainingPlan = TrainingPlan()
    whole_units: bool = False
    teachers: Weights | None = None


class Cell(NamedTuple):
    """The networks of one scheme at one round.

    Attributes:
        name: scheme and round, `random/08`: in messages, and the cell's folder among the checkpoints.
        key: names everything that decides the cell's bits (`key`).
        networks: how many there are.
        job: returns what they are trained from. It is called in the process that trains.
    """

    name: str
    key: str
    networks: int
    job: Callable[[], Job]


def key(settings: Mapping[str, Any], inputs: Iterable[str], code_paths: Iterable[str] = ()) -> str:
    """Name a cell by everything that decides its bits.

    That is settings and seeds, the inputs, the code, PyTorch, and the kind of processor: a checkpoint may
    come from other code or from another machine.

    Args:
        settings: values for JSON, the study's `training` block among them.
        inputs: the `contents` of the files and folders that the cell is made from.
        code_paths: files and folders of code, besides `DECIDING`.
    """
    known = {
        "settings": settings,
        "code": [_digest(*DECIDING), _digest(*code_paths)],
        "torch": torch.__version__,
        "processor": processor(),
        "threads": settings["training"]["threads"] or cores(),
    }
    return hashlib.sha256(json.dumps([known, *inputs], sort_keys=True).encode()).hexdigest()


def processor() -> str:
    """Return the kind of processor that networks train on here: a GPU where there is one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else code.processor()


@cache  # it takes a quarter of a second, and a stage has many cells
def _digest(*paths: str) -> str:
    return code.digest(*paths)


def contents(path: Path) -> str:
    """Return a digest of a file, or of the weights and masks in a cell's folder.

    Raises:
        InputError: it is missing.
    """
    digest = hashlib.sha256()
    for file in [path / "weights.safetensors", path / "masks.safetensors"] if path.is_dir() else [path]:
        with files.reading(file):
            digest.update(file.read_bytes())
    return digest.hexdigest()


def find(key: str, folders: Iterable[Path]) -> Path | None:
    """Return the first folder that holds the finished cell of this key, undamaged, or None."""
    for folder in folders:
        try:
            if files.read_json(folder / "result.json")["key"] != key:
                continue
            storage.load_network(folder)  # a power failure may have cut files short
            if (folder / "kept.safetensors").exists():
                storage.load_weights(folder / "kept.safetensors")
            return folder
        except (InputError, KeyError, TypeError):
            continue
    return None


def copy_cell(source: Path, target: Path) -> None:
    """Copy a finished cell, with hard links where the file system has them.

    No file of a cell is ever changed in place, so that links do no harm.
    """
    try:
        shutil.copytree(source, target, copy_function=os.link)
    except (OSError, shutil.Error):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
