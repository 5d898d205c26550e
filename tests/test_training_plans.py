"""Training plans: a late first step, the last learning rate throughout, weights kept on the way."""

import numpy as np
import pytest
import torch

from prunet.training import loop
from prunet.training.optimizers import learning_rate
from prunet.training.plan import TrainingPlan
from tests.toy_training import Toy, cut_off

# Without momentum, training has no state but the weights.
PLAIN = {"optimizer": "sgd", "momentum": 0.0, "schedule": "cosine", "warmup": 12, "lr": 0.05}


def dense(tmp_path, **settings):
    """Return a toy that trains on random crops, so that its bits depend on every draw."""
    run = Toy(tmp_path, 2, 9, 8, augment="crop-flip", **PLAIN | settings)
    run.masks = {name: torch.ones_like(mask) for name, mask in run.masks.items()}
    return run


@pytest.mark.parametrize("step", [7, 20])
def test_rewinding_to_a_step_at_density_1_is_the_dense_training(tmp_path, step):
    run = dense(tmp_path)
    run.plan = TrainingPlan(keep=step)
    whole = run.finish()
    assert set(whole.kept) == set(whole.weights)
    assert not np.array_equal(whole.kept["fc1.weight"], run.start["fc1.weight"].numpy())
    run.start = {name: torch.from_numpy(values) for name, values in whole.kept.items()}
    run.plan = TrainingPlan(first=step)
    again = run.finish()
    assert all(np.array_equal(whole.weights[name], again.weights[name]) for name in whole.weights)
    for before, after in zip(whole.results, again.results, strict=True):
        assert after["curve"]["step"] == [step, *(n for n in (10, 20, 30) if n > step)]
        later = [before["curve"]["step"].index(n) for n in after["curve"]["step"][1:]]
        assert after["curve"]["val_loss"][1:] == [before["curve"]["val_loss"][n] for n in later]
        assert after["final"] == before["final"]


def test_the_weights_kept_at_step_0_are_the_start_values(tmp_path):
    run = dense(tmp_path, optimizer="adam")
    run.plan = TrainingPlan(keep=0)
    kept = run.finish().kept
    assert all(np.array_equal(kept[name], run.start[name].numpy()) for name in run.start)


@pytest.mark.parametrize("plan", [TrainingPlan(first=5), TrainingPlan(last_rate=True)])
def test_a_plan_that_was_killed_ends_with_the_same_bits(tmp_path, plan):
    run = dense(tmp_path, optimizer="adam")
    run.plan = plan
    whole, resumed = run.finish(), cut_off(run, 8)
    assert resumed.results == whole.results
    assert all(np.array_equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    assert resumed.kept == whole.kept == {}


@pytest.mark.parametrize(
    ("plan", "steps"),
    [
        (TrainingPlan(), range(1, 31)),
        (TrainingPlan(first=12), range(13, 31)),
        (TrainingPlan(last_rate=True), [30] * 30),
    ],
)
def test_learning_rates_of_a_plan(tmp_path, monkeypatch, plan, steps):
    run, rates, take_step = dense(tmp_path), [], loop.TrainingState.take_step

    def watch(state, images, labels, rate, taught):
        rates.append(rate)
        take_step(state, images, labels, rate, taught)

    monkeypatch.setattr(loop.TrainingState, "take_step", watch)
    run.plan = plan
    run.finish()
    assert rates == [learning_rate(number, run.settings) for number in steps]
    assert 0 < rates[-1] < 0.01 * run.settings["lr"]
