import math

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.models.built_in import MODELS
from prunet.training import evaluation
from prunet.training.checkpoints import Checkpoint
from prunet.training.gradients import network
from tests.toy_training import NEVER, Killed, Mortal, Toy, runs


@pytest.fixture
def toy(tmp_path):
    return lambda *arguments, **settings: Toy(tmp_path, *arguments, **settings)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_pruned_weights_are_exactly_zero_after_training_with_momentum_and_decay(toy, optimizer):
    cell = toy(2, optimizer=optimizer)
    assert all(cell.start[name][~mask].abs().min() > 0 for name, mask in cell.masks.items())
    trained, _ = cell.train()
    for name, mask in cell.masks.items():
        assert not trained[name][~mask].any()
        assert (trained[name][mask] != cell.start[name][mask].numpy()).all()


def test_pruned_weights_are_zero_at_every_look(toy, monkeypatch):
    cell, looks, evaluate = toy(), [], evaluation.evaluate

    def watch(network, stack, *rest):
        looks.append(all(not stack[name][~mask].any() for name, mask in cell.masks.items()))
        return evaluate(network, stack, *rest)

    monkeypatch.setattr(evaluation, "evaluate", watch)
    cell.train()
    assert looks == [True] * 6  # steps 0, 10, 20, 30, and the two readings of the test split


def test_start_values_are_left_as_they_were(toy):
    cell = toy()
    before = {name: values.clone() for name, values in cell.start.items()}
    cell.train()
    assert all(torch.equal(before[name], values) for name, values in cell.start.items())


def test_the_same_seeds_give_the_same_bits_and_others_do_not(toy):
    cell = toy()
    first, result = cell.train()
    again, same_result = cell.train()
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert result == same_result
    cell.runs = runs(1, order=9)
    other, _ = cell.train()
    assert not np.array_equal(first["fc1.weight"], other["fc1.weight"])


def test_a_network_in_a_stack_differs_from_itself_alone_by_rounding(toy):
    """A GPU trains stacks. On a CPU every network is trained alone: to the same bits (test_cells.py)."""
    together, results = toy(3).train()
    for number in range(3):
        cell = toy(3)
        part = slice(number, number + 1)
        cell.start = {name: values[part] for name, values in cell.start.items()}
        cell.masks = {name: mask[part] for name, mask in cell.masks.items()}
        cell.runs = cell.runs[part]
        alone, result = cell.train()
        assert result[0]["curve"]["val_loss"] == pytest.approx(results[number]["curve"]["val_loss"], rel=1e-5)
        assert result[0]["early_stop_step"] == results[number]["early_stop_step"]
        for name in alone:
            np.testing.assert_allclose(alone[name], together[name][part], rtol=1e-4, atol=1e-6)


def test_it_learns_and_the_early_stop_is_the_lowest_validation_loss(toy):
    _, (result,) = toy(steps=200, weight_decay=0.0).train()
    curve = result["curve"]
    assert curve["step"] == list(range(0, 201, 10))
    assert result["early_stop_step"] == curve["step"][int(np.argmin(curve["val_loss"]))]
    assert curve["val_accuracy"][0] < 0.6
    assert result["early"]["test_accuracy"] > 0.95


def test_the_last_step_is_looked_at_when_the_interval_does_not_divide_it(toy):
    _, (result,) = toy(steps=25).train()
    assert result["curve"]["step"] == [0, 10, 20, 25]


def test_the_test_split_chooses_nothing(toy):
    cell = toy()
    trained, (result,) = cell.train()
    images, labels = cell.splits["test"]
    cell.splits = cell.splits | {"test": (images.flip(0), labels)}
    same, (other,) = cell.train()
    assert all(np.array_equal(trained[name], same[name]) for name in trained)
    assert result["curve"] == other["curve"]
    assert result["early_stop_step"] == other["early_stop_step"]
    assert result["early"] != other["early"]


def test_early_is_measured_with_the_weights_of_each_networks_own_early_stop(toy):
    settings = {"lr": 0.03, "weight_decay": 0.0, "eval_every": 1}
    _, results = toy(3, steps=40, **settings).train()
    stops = [result["early_stop_step"] for result in results]
    assert len(set(stops)) > 1
    for number, stop in enumerate(stops):
        assert 0 < stop < 40
        _, shorter = toy(3, steps=stop, **settings).train()
        assert results[number]["early"] == shorter[number]["final"]
    assert any(result["early"] != result["final"] for result in results)


def test_evaluation_counts_every_image_whatever_the_chunk(toy, monkeypatch):
    cell = toy(2)
    whole = evaluation.evaluate(cell.network, cell.start, cell.splits["val"], cell.size)
    monkeypatch.setattr(evaluation, "EVALUATION_BATCH", 7)
    parts = evaluation.evaluate(cell.network, cell.start, cell.splits["val"], cell.size)
    assert parts[0] == pytest.approx(whole[0])
    assert parts[1] == whole[1]
    images, labels = cell.splits["val"]
    logits = cell.network.logits(cell.start, images)
    assert whole[1] == pytest.approx([float((row.argmax(1) == labels).double().mean()) for row in logits])
    expected = [torch.nn.functional.cross_entropy(row, labels).item() for row in logits]
    assert whole[0] == pytest.approx(expected)


def test_a_loss_that_is_not_finite_stops_with_the_replicate_and_the_step(toy):
    cell = toy(2)
    cell.start["fc1.weight"][1] *= math.inf
    with pytest.raises(
        InputError, match=r"^replicate 1: the validation loss is nan at step 0: lower the learning rate"
    ):
        cell.train()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("saves", [1, 2, 3])
def test_a_training_that_was_cut_off_ends_with_the_same_bits(toy, optimizer, saves):
    cell = toy(2, optimizer=optimizer, steps=40, augment="crop-flip", side=9)
    cell.size = 8
    cell.network = network(MODELS["lenet-300-100"]((1, 8, 8), 3), cell.settings)
    cell.start["fc1.weight"] = cell.start["fc1.weight"][:, :, :64].clone()
    cell.masks["fc1.weight"] = cell.masks["fc1.weight"][:, :, :64].clone()
    whole, results = cell.train()
    checkpoint = Mortal(cell.folder / "mortal.safetensors", "toy", 0)
    checkpoint.saves = saves
    with pytest.raises(Killed):
        cell.train(checkpoint)
    assert len(checkpoint.load()[1]["points"]) == saves + 1
    resumed, same_results = cell.train(Checkpoint(checkpoint.path, "toy", NEVER))
    assert same_results == results
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_a_finished_training_is_not_repeated(toy, monkeypatch):
    cell = toy()
    first = cell.train(Checkpoint(cell.folder / "done", "toy", NEVER))
    monkeypatch.setattr(evaluation, "evaluate", None)
    again = cell.train(Checkpoint(cell.folder / "done", "toy", NEVER))
    assert again[1] == first[1]
