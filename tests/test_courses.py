"""Trainings that begin late, go on at the last rate, or keep weights on the way."""

import numpy as np
import pytest
import torch

from prunet.models.built_in import MODELS
from prunet.pruning.course import Course
from prunet.training import training
from prunet.training.gradients import network
from prunet.training.optimizers import learning_rate
from tests.toy_training import Toy, cut_off

# Without momentum a training has no memory but its weights.
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "schedule": "cosine", "warmup": 12, "lr": 0.05}


def dense(tmp_path, **settings):
    """A toy on random crops, so that a training depends on all that is drawn for it."""
    cell = Toy(tmp_path, 2, side=9, augment="crop-flip", **PLAIN | settings)
    cell.size = 8
    cell.network = network(MODELS["lenet-300-100"]((1, 8, 8), 3), cell.settings)
    cell.start["fc1.weight"] = cell.start["fc1.weight"][:, :, :64].clone()
    cell.masks = {name: torch.ones_like(cell.start[name], dtype=torch.bool) for name in cell.masks}
    return cell


@pytest.mark.parametrize("step", [7, 20])
def test_rewinding_to_a_step_at_density_1_is_the_dense_training(tmp_path, step):
    cell = dense(tmp_path)
    cell.course = Course(keep=step)
    whole = cell.finish()
    assert set(whole.kept) == set(whole.weights)
    assert not np.array_equal(whole.kept["fc1.weight"], cell.start["fc1.weight"].numpy())
    cell.start = {name: torch.from_numpy(values) for name, values in whole.kept.items()}
    cell.course = Course(first=step)
    again = cell.finish()
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    for before, after in zip(whole.results, again.results, strict=True):
        assert after["curve"]["step"] == [step, *(n for n in (10, 20, 30) if n > step)]
        later = [before["curve"]["step"].index(n) for n in after["curve"]["step"][1:]]
        assert after["curve"]["val_loss"][1:] == [before["curve"]["val_loss"][n] for n in later]
        assert after["final"] == before["final"]


def test_step_0_is_kept_as_the_start_values(tmp_path):
    cell = dense(tmp_path, optimizer="adam")
    cell.course = Course(keep=0)
    kept = cell.finish().kept
    assert all(np.array_equal(kept[name], cell.start[name].numpy()) for name in cell.start)


@pytest.mark.parametrize("saves", [1, 2])
@pytest.mark.parametrize("course", [Course(keep=15), Course(first=5), Course(last_rate=True)])
def test_a_course_that_was_cut_off_ends_with_the_same_bits(tmp_path, course, saves):
    cell = dense(tmp_path, optimizer="adam")
    cell.course = course
    whole = cell.finish()
    resumed = cut_off(cell, saves)
    assert resumed.results == whole.results
    for part in ("weights", "kept"):
        expected, found = getattr(whole, part), getattr(resumed, part)
        assert set(expected) == set(found)
        assert all(np.array_equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize(
    ("course", "steps"),
    [
        (Course(), range(1, 31)),
        (Course(first=12), range(13, 31)),
        (Course(last_rate=True), [30] * 30),
    ],
)
def test_the_rates_of_a_course(tmp_path, monkeypatch, course, steps):
    cell, rates, step = dense(tmp_path), [], training.Progress.step

    def watch(progress, images, labels, rate):
        rates.append(rate)
        step(progress, images, labels, rate)

    monkeypatch.setattr(training.Progress, "step", watch)
    cell.course = course
    cell.finish()
    assert rates == [learning_rate(number, cell.settings) for number in steps]
    assert 0 < rates[-1] < 0.01 * cell.settings["lr"]
