"""The training loop: masks, seeds, evaluations, and resumption to the same bits."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunet.training import evaluation
from prunet.training.gradients import network
from prunet.training.plan import TrainingPlan
from prunet.training.state import TrainingState
from tests.toy_training import CPU, Toy, cut_off, drawn, runs, same


@pytest.fixture
def toy(tmp_path):
    return lambda *arguments, **settings: Toy(tmp_path, *arguments, **settings)


@pytest.mark.parametrize(
    "settings",
    [{}, {"optimizer": "adamw"}, {"optimizer": "sgd"}, {"clip_norm": 0.5}, {"ema": 0.9}],
)
def test_pruned_weights_are_exactly_zero_after_training_with_momentum_and_decay(toy, settings):
    run = toy(2, **settings)
    assert all(run.start[name][~mask].abs().min() > 0 for name, mask in run.masks.items())
    trained, _ = run.train()
    for name, mask in run.masks.items():
        assert not trained[name][~mask].any()
        assert (trained[name][mask] != run.start[name][mask].numpy()).all()


def test_pruned_weights_are_zero_at_every_evaluation(toy, monkeypatch):
    run, zero, evaluate = toy(), [], evaluation.evaluate

    def watch(network, stack, *rest):
        zero.append(all(not stack[name][~mask].any() for name, mask in run.masks.items()))
        return evaluate(network, stack, *rest)

    monkeypatch.setattr(evaluation, "evaluate", watch)
    run.train()
    assert zero == [True] * 6  # steps 0, 10, 20, 30, and twice on the test split


def test_start_values_are_not_changed(toy):
    run = toy()
    before = {name: values.clone() for name, values in run.start.items()}
    run.train()
    assert all(torch.equal(before[name], values) for name, values in run.start.items())


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not(toy):
    run = toy()
    first, result = run.train()
    again, same_result = run.train()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert result == same_result
    run.runs = runs(1, order=9)
    other, _ = run.train()
    assert not np.array_equal(first["fc1.weight"], other["fc1.weight"])


def test_it_learns_and_the_early_stop_is_the_lowest_validation_loss(toy):
    _, (result,) = toy(steps=200, weight_decay=0.0).train()
    curve = result["curve"]
    assert curve["step"] == list(range(0, 201, 10))
    assert result["early_stop_step"] == curve["step"][int(np.argmin(curve["val_loss"]))]
    assert curve["val_accuracy"][0] < 0.6
    assert result["early"]["test_accuracy"] > 0.95


def test_the_last_step_is_evaluated_even_if_the_interval_does_not_divide_it(toy):
    _, (result,) = toy(steps=25).train()
    assert result["curve"]["step"] == [0, 10, 20, 25]


def test_the_moving_average_is_evaluated_and_delivered_in_place_of_the_weights(toy):
    """The first step counts with 1 - 2/11 and the second with 1 - 3/12: the decay of 0.9 comes later."""
    after = {steps: toy(2, steps=steps).train()[0] for steps in (1, 2)}
    run = toy(2, steps=2, ema=0.9)
    run.plan = TrainingPlan(keep=2)
    finished = run.finish()
    for name, start in run.start.items():
        before = (start * run.masks.get(name, 1)).numpy()
        first = 2 / 11 * before + 9 / 11 * after[1][name]
        expected = 3 / 12 * first + 9 / 12 * after[2][name]
        np.testing.assert_allclose(finished.weights[name], expected, rtol=1e-5, atol=1e-7)
        assert np.array_equal(finished.kept[name], after[2][name])  # for rewinding, the weights themselves
    stack = {name: torch.from_numpy(values) for name, values in finished.weights.items()}
    losses, _ = evaluation.evaluate(run.network, stack, run.splits["test"], run.size)
    assert [result["final"]["test_loss"] for result in finished.results] == losses


def normed(toy, **settings):
    """Return a toy of one small network with norms."""
    run = toy(1, **settings)
    run.model = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    run.network, run.start = network(run.model, run.settings), drawn(run.model, 1)
    run.masks = {"0.weight": run.start["0.weight"] > -0.1, "4.weight": run.start["4.weight"] > 0}
    return run


@pytest.mark.parametrize("settings", [{}, {"ema": 0.9}])
def test_every_evaluation_measures_the_running_statistics_of_norms_anew(toy, settings):
    run, stale = normed(toy, recalibrate=20, **settings), normed(toy, **settings)
    finished, before = run.finish(), stale.finish()
    curve, other = (found.results[0]["curve"]["val_loss"] for found in (finished, before))
    assert all(first != second for first, second in zip(curve, other, strict=True))  # at the start too
    stack = {name: torch.from_numpy(values) for name, values in finished.weights.items()}
    images = run.splits["train"][0]
    chosen = torch.arange(20) * len(images) // 20  # batches of 8: two of 10
    convolved = [
        functional.conv2d(images[part], stack["0.weight"][0]) for part in (chosen[::2], chosen[1::2])
    ]
    mean = sum(values.mean((0, 2, 3)) for values in convolved) / 2
    torch.testing.assert_close(stack["1.running_mean"][0], mean)
    for name in ("0.weight", "4.weight", "4.bias"):  # statistics have no part in the training itself
        assert np.array_equal(finished.weights[name], before.weights[name])
    assert same(cut_off(run, 13), finished)


def test_the_first_steps_train_the_head_alone(toy):
    settings = {"optimizer": "adamw", "freeze": 12}
    head = ("output.weight", "output.bias")
    short, long = toy(2, steps=13, **settings), toy(2, **settings)
    for run in (short, long):
        run.plan = TrainingPlan(head=head, keep=12)
    kept, whole = short.finish().kept, long.finish()
    for name, start in short.start.items():
        frozen = np.array_equal(kept[name], (start * short.masks.get(name, 1)).numpy())
        assert frozen == (name not in head)
        assert not np.array_equal(whole.weights[name], kept[name])
    for steps in (5, 12, 20):
        assert same(cut_off(long, steps), whole)


def test_the_head_alone_is_clipped_by_its_own_norm(toy):
    run = toy(1, optimizer="sgd", freeze=3, clip_norm=0.1)
    run.plan = TrainingPlan(head=("output.bias",))
    state = TrainingState(run.network, run.start, run.masks, CPU, run.settings, run.runs, run.plan)
    images, labels = (part[:8].unsqueeze(0) for part in run.splits["train"])
    gradient = {name: torch.zeros_like(tensor) for name, tensor in run.start.items()}
    run.network.gradients(state.weights, images, labels, gradient)
    found = gradient["output.bias"]
    assert found.norm() > 0.1
    state.take_step(images, labels, 0.5)
    expected = run.start["output.bias"] - 0.5 * 0.1 * found / found.norm()  # biases start at zero: no decay
    torch.testing.assert_close(state.weights["output.bias"], expected)


def test_clipping_keeps_a_network_independent_of_those_beside_it(toy):
    together, _ = toy(3, clip_norm=0.05).train()
    alone, _ = toy(3, clip_norm=0.05).only(1).train()
    free, _ = toy(3).train()
    for name, values in alone.items():
        np.testing.assert_allclose(together[name][1:2], values, rtol=0, atol=1e-6)
        assert np.abs(together[name] - free[name]).max() > 1e-4


def test_the_test_split_chooses_nothing(toy):
    run = toy()
    trained, (result,) = run.train()
    images, labels = run.splits["test"]
    run.splits = run.splits | {"test": (images.flip(0), labels)}
    same, (other,) = run.train()
    assert all(np.array_equal(trained[name], same[name]) for name in trained)
    assert result["curve"] == other["curve"]
    assert result["early_stop_step"] == other["early_stop_step"]
    assert result["early"] != other["early"]


def test_each_network_is_tested_with_the_weights_of_its_own_early_stop(toy):
    settings = {"lr": 0.03, "weight_decay": 0.0, "eval_every": 1}
    _, results = toy(3, steps=40, **settings).train()
    stops = [result["early_stop_step"] for result in results]
    assert len(set(stops)) > 1
    for number, stop in enumerate(stops):
        assert 0 < stop < 40
        _, shorter = toy(3, steps=stop, **settings).train()
        assert results[number]["early"] == shorter[number]["final"]
    assert any(result["early"] != result["final"] for result in results)


@pytest.mark.parametrize(("eval_every", "steps"), [(1000, 1), (1000, 13), (1000, 20), (1000, 30), (10, 13)])
@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "adam"}, {"optimizer": "adamw", "ema": 0.9, "clip_norm": 0.5}, {"optimizer": "sgd"}],
)
def test_a_run_that_was_killed_after_any_step_ends_with_the_same_bits(toy, settings, eval_every, steps):
    """Its checkpoints do not wait for an evaluation: with `eval_every` 1000 there is none before the end."""
    run = toy(2, 9, 8, eval_every=eval_every, augment="crop-flip", **settings)
    run.plan = TrainingPlan(keep=15)
    whole = run.finish()
    assert whole.kept
    assert same(cut_off(run, steps), whole)
