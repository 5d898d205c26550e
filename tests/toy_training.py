"""A training run that takes milliseconds, and one that is killed."""

import copy
import itertools
from functools import partial

import pytest
import torch

from prunet.models.built_in import MODELS, initial_weights, prunable
from prunet.training import loop
from prunet.training.batches import to_device
from prunet.training.checkpoints import Checkpoint
from prunet.training.distillation import Teachers
from prunet.training.gradients import network
from prunet.training.plan import TrainingPlan
from tests import toys
from tests.toy_cells import equal

CPU = torch.device("cpu")
NEVER = 1e9
NUMBERS = itertools.count()


def runs(count, **seeds):
    return [
        {"replicate": number, "seeds": {"order": 1 + number, "augment": 2, "dropout": 3} | seeds}
        for number in range(count)
    ]


def drawn(model, count):
    """Return the stack of start values of `count` networks."""
    states = [initial_weights(partial(copy.deepcopy, model), number, "glorot") for number in range(count)]
    return {name: torch.stack([state[name] for state in states]) for name in states[0]}


def same(first, second):
    """Return whether two finished runs have the same results, weights and masks, bit for bit."""
    parts = ((getattr(first, part), getattr(second, part)) for part in ("weights", "masks", "kept"))
    return first.results == second.results and all(equal(*pair) for pair in parts)


class Toy:
    """A run of `count` small networks, each part of which can be replaced before it starts.

    Images have `side` pixels a side, of which the model sees `size`.
    """

    def __init__(self, tmp_path, count=1, side=6, size=None, **settings):
        self.size = size or side
        self.model = MODELS["lenet-300-100"]((1, self.size, self.size), 3)
        self.settings = toys.SETTINGS | settings
        self.network = network(self.model, self.settings)
        self.start = drawn(self.model, count)
        rng = torch.Generator().manual_seed(5)
        self.masks = {
            name: torch.rand(self.start[name].shape, generator=rng) < 0.3 for name in prunable(self.model)
        }
        self.splits = to_device(toys.data(side), None, "none", CPU)
        self.runs = runs(count)
        self.folder, self.plan, self.teachers = tmp_path, TrainingPlan(), None

    def only(self, number):
        """Keep one of the networks."""
        row = slice(number, number + 1)
        self.start = {name: values[row] for name, values in self.start.items()}
        self.masks = {name: mask[row] for name, mask in self.masks.items()}
        self.runs = self.runs[row]
        return self

    def finish(self, checkpoint=None):
        checkpoint = checkpoint or Checkpoint(self.folder / f"{next(NUMBERS)}.safetensors", "toy", NEVER)
        given = self.start, self.masks, self.splits, self.size, self.settings, self.runs
        teachers = self.teachers and Teachers(self.network, self.teachers)
        list(loop.train(self.network, *given, checkpoint, self.plan, teachers))
        return loop.load_finished(checkpoint)

    def train(self, checkpoint=None):
        finished = self.finish(checkpoint)
        return finished.weights, finished.results


class Killed(Exception):
    """Stands for the signal."""


class Mortal(Checkpoint):
    """A checkpoint that is written once, after so many steps, when its run is killed."""

    def __init__(self, path, steps):
        super().__init__(path, "toy", NEVER)
        self.steps = steps

    def due(self):
        self.steps -= 1
        return self.steps == 0

    def save(self, named, values):
        super().save(named, values)
        raise Killed


def cut_off(toy, steps):
    """Kill a run after so many steps; return the outcome of the one that resumes it."""
    checkpoint = Mortal(toy.folder / f"{next(NUMBERS)}.safetensors", steps)
    with pytest.raises(Killed):
        toy.finish(checkpoint)
    assert checkpoint.load()[1]["step"] == toy.plan.first + steps
    return toy.finish(Checkpoint(checkpoint.path, "toy", NEVER))
