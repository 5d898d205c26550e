"""Cells of a toy study, and their outcome."""

import numpy as np
import pytest
import torch

from prunet.base import files
from prunet.cells import storage
from prunet.training.cells import Cell, Job
from prunet.training.trainer import Trainer
from tests import toys

alone = pytest.mark.skipif(torch.cuda.is_available(), reason="on a GPU these networks train as one stack")


def maker(folder):
    """Return a function that makes trainers with checkpoints in a folder."""

    def make(replicates=2, model="lenet-300-100", side=6, input_size=None, seconds=1000, **training):
        study = toys.study(**training) | {"replicates": replicates, "model": model, "input_size": input_size}
        return Trainer(study, toys.data(side), folder / "checkpoints", seconds)

    return make


def cell(trainer, name="original/01", start=None, masks=None, key="key", drawn_for=("init",), **job):
    start = start or trainer.initial_weights("init")
    made = Job(start, masks or trainer.dense_masks(), drawn_for, **job)
    return Cell(name, key, len(next(iter(start.values()))), lambda: made)


def outcome(folder):
    """Return the weights, masks and result of a cell's folder."""
    return *storage.load_network(folder), files.read_json(folder / "result.json")


def train(trainer, *arguments, **options):
    """Train one cell and return its outcome."""
    (folder,) = trainer.train([cell(trainer, *arguments, **options)])
    return outcome(folder)


def equal(first, second):
    return list(first) == list(second) and all(np.array_equal(first[name], second[name]) for name in first)
