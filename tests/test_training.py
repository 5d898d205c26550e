import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.networks import training
from prunet.networks.batches import place
from prunet.networks.models import MODELS, initial_weights, prunable
from tests import toys

CPU = torch.device("cpu")
SEEDS = {"order": 1, "augment": 2, "dropout": 3}


def setup(side=6, **settings):
    settings = toys.SETTINGS | settings
    splits = place(toys.data(side), None, "none", CPU)
    model = MODELS["lenet-300-100"]((1, side, side), 3)
    start = initial_weights(model, 0)
    generator = torch.Generator().manual_seed(5)
    masks = {name: torch.rand(start[name].shape, generator=generator) < 0.3 for name in prunable(model)}
    return model, start, masks, splits, side, settings, SEEDS


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_pruned_weights_are_exactly_zero_after_training_with_momentum_and_decay(optimizer):
    arguments = setup(optimizer=optimizer)
    start, masks = arguments[1], arguments[2]
    assert all(start[name][~mask].abs().min() > 0 for name, mask in masks.items())
    trained, _ = training.train(*arguments)
    for name, mask in masks.items():
        assert not trained[name][~mask].any()
        assert (trained[name][mask] != start[name][mask]).all()


def test_pruned_weights_are_zero_at_every_look(monkeypatch):
    looks, evaluate = [], training.evaluate

    def watch(model, *rest):
        looks.append(all(not model.get_parameter(name)[~mask].any() for name, mask in masks.items()))
        return evaluate(model, *rest)

    arguments = setup()
    masks = arguments[2]
    monkeypatch.setattr(training, "evaluate", watch)
    training.train(*arguments)
    assert looks == [True] * 6  # steps 0, 10, 20, 30, and the two readings of the test split


def test_start_values_are_left_as_they_were():
    arguments = setup()
    before = {name: values.clone() for name, values in arguments[1].items()}
    training.train(*arguments)
    assert all(torch.equal(before[name], values) for name, values in arguments[1].items())


def test_the_same_seeds_give_the_same_bits_and_others_do_not():
    arguments = setup()
    first, result = training.train(*arguments)
    again, same_result = training.train(*arguments)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert result == same_result
    other, _ = training.train(*arguments[:-1], SEEDS | {"order": 9})
    assert not torch.equal(first["fc1.weight"], other["fc1.weight"])


def test_it_learns_and_the_early_stop_is_the_lowest_validation_loss():
    _, result = training.train(*setup(steps=200, weight_decay=0.0))
    curve = result["curve"]
    assert curve["step"] == list(range(0, 201, 10))
    assert result["early_stop_step"] == curve["step"][int(np.argmin(curve["val_loss"]))]
    assert curve["val_accuracy"][0] < 0.6
    assert result["early"]["test_accuracy"] > 0.95


def test_the_last_step_is_looked_at_when_the_interval_does_not_divide_it():
    _, result = training.train(*setup(steps=25))
    assert result["curve"]["step"] == [0, 10, 20, 25]


def test_the_test_split_chooses_nothing():
    arguments = list(setup())
    trained, result = training.train(*arguments)
    images, labels = arguments[3]["test"]
    arguments[3] = arguments[3] | {"test": (images.flip(0), labels)}
    same, other_result = training.train(*arguments)
    assert all(torch.equal(trained[name], same[name]) for name in trained)
    assert result["curve"] == other_result["curve"]
    assert result["early_stop_step"] == other_result["early_stop_step"]
    assert result["early"] != other_result["early"]


def test_early_is_measured_with_the_weights_of_the_early_stop():
    model, *rest = setup(lr=0.03, weight_decay=0.0, steps=40, eval_every=1)
    _, result = training.train(model, *rest)
    stop = result["early_stop_step"]
    assert 0 < stop < 40
    settings = rest[4] | {"steps": stop}
    _, shorter = training.train(model, *rest[:4], settings, SEEDS)
    assert result["early"] == shorter["final"]
    assert result["early"] != result["final"]


def test_evaluation_counts_every_image_whatever_the_chunk(monkeypatch):
    model, start, _, splits, side, settings, _ = setup()
    model.load_state_dict(start)
    whole = training.evaluate(model, splits["val"], side, settings)
    monkeypatch.setattr(training, "EVALUATION_BATCH", 7)
    assert training.evaluate(model, splits["val"], side, settings) == pytest.approx(whole)
    images, labels = splits["val"]
    logits = model.eval()(images)
    assert whole[1] == int((logits.argmax(1) == labels).sum()) / len(labels)


def test_a_loss_that_is_not_finite_stops_with_a_sentence():
    with pytest.raises(
        InputError, match=r"validation loss is (nan|inf) at step \d+: lower the learning rate"
    ):
        training.train(*setup(optimizer="sgd", lr=1e9))
