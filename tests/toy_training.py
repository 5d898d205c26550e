"""A training that takes milliseconds, and one that is killed."""

import itertools

import pytest
import torch

from prunet.models.built_in import MODELS, initial_weights, prunable
from prunet.pruning.course import Course
from prunet.training import training
from prunet.training.batches import place
from prunet.training.checkpoints import Checkpoint
from prunet.training.gradients import network
from tests import toys

CPU = torch.device("cpu")
NEVER = 1e9
NUMBERS = itertools.count()


def runs(count, **seeds):
    return [
        {"replicate": number, "seeds": {"order": 1 + number, "augment": 2, "dropout": 3} | seeds}
        for number in range(count)
    ]


class Toy:
    """A training of `count` small networks, of which any part may be replaced before it runs."""

    def __init__(self, tmp_path, count=1, side=6, **settings):
        model = MODELS["lenet-300-100"]((1, side, side), 3)
        self.settings = toys.SETTINGS | settings
        self.network = network(model, self.settings)
        drawn = [initial_weights(model, number, "glorot") for number in range(count)]
        self.start = {name: torch.stack([weights[name] for weights in drawn]) for name in drawn[0]}
        rng = torch.Generator().manual_seed(5)
        self.masks = {
            name: torch.rand(self.start[name].shape, generator=rng) < 0.3 for name in prunable(model)
        }
        self.splits = place(toys.data(side), None, "none", CPU)
        self.size, self.runs = side, runs(count)
        self.folder, self.course = tmp_path, Course()

    def finish(self, checkpoint=None):
        checkpoint = checkpoint or Checkpoint(self.folder / f"{next(NUMBERS)}.safetensors", "toy", NEVER)
        training.train(
            self.network,
            self.start,
            self.masks,
            self.splits,
            self.size,
            self.settings,
            self.runs,
            checkpoint,
            self.course,
        )
        return training.load_finished(checkpoint)

    def train(self, checkpoint=None):
        finished = self.finish(checkpoint)
        return finished.weights, finished.results


class Killed(Exception):
    """In place of the signal."""


class Mortal(Checkpoint):
    """A checkpoint whose training ends after a number of saves, once."""

    saves = 3

    def save(self, named, state):
        super().save(named, state)
        self.saves -= 1
        if not self.saves:
            raise Killed


def cut_off(cell, saves):
    """Kill a training at one of its first saves; return what one that goes on from there leaves."""
    checkpoint = Mortal(cell.folder / "mortal.safetensors", "toy", 0)
    checkpoint.saves = saves
    with pytest.raises(Killed):
        cell.finish(checkpoint)
    return cell.finish(Checkpoint(checkpoint.path, "toy", NEVER))
