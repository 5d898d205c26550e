"""Training with simulated int8 arithmetic."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.compression import int8, int8_training
from prunet.deployment import onnx_file
from prunet.models.state import load_state, state
from prunet.training import batches
from tests import toys
from tests.toy_stacks import stack

SEEDS = {"order": 1, "augment": 2, "dropout": 3}
SIDE = 6


def layers():
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3)
    )


class Run:
    """A network with masks, its data, and its training."""

    def __init__(self, model=None, **settings):
        self.model = model or layers()
        self.settings = toys.SETTINGS | {"steps": 20, "lr": 0.01, "weight_decay": 0.0} | settings
        self.splits = batches.to_device(toys.data(SIDE), None, "none", torch.device("cpu"))
        weights, masks = stack(self.model, 1, density=0.5)
        self.weights, self.masks = ({n: v[0] for n, v in part.items()} for part in (weights, masks))
        self.seen = [self.splits["train"][0][:16]]

    def train(self, seeds=SEEDS):
        fixed = self.splits, SIDE, self.settings, seeds, self.seen
        return int8_training.train(self.model, self.weights, self.masks, *fixed)


def test_masks_stay_and_norms_keep_their_statistics():
    run = Run()
    before = {name: values.copy() for name, values in run.weights.items()}
    found, _ = run.train()
    for name, values in found.items():
        np.testing.assert_array_equal(run.weights[name], before[name])
        if name in run.masks:
            assert not values[~run.masks[name]].any()
        assert np.array_equal(values, before[name]) == ("running" in name or "batches" in name)


def test_equal_seeds_give_equal_bits():
    model = layers()
    one, two, other = (Run(model).train(seeds)[0] for seeds in (SEEDS, SEEDS, SEEDS | {"order": 9}))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


def test_a_frozen_layer_is_trained_where_weights_survive():
    model = layers().requires_grad_(False)
    found, _ = Run(model).train()
    weights = Run(model).weights
    moved = {name for name in found if not np.array_equal(found[name], weights[name])}
    assert moved == {"0.weight", "5.weight"}


def outlier():
    """Return a network that is right about every image, and about none that is rounded to 8 bits.

    Feature 0 is three thousand for every image, so that a level of the hidden features is as large as the
    others. It cancels in the outputs.
    """
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 4), nn.ReLU(), nn.Linear(4, 3))
    with torch.no_grad():
        model[1].weight.zero_()
        for row in range(3):  # the class is the row that is bright
            model[1].weight[row + 1, SIDE * row : SIDE * (row + 1)] = 1 / SIDE
        model[1].bias.copy_(torch.tensor([3000.0, 2.0, 2.0, 2.0]))
        model[3].weight.copy_(torch.tensor([[0.0, 5, 0, 0], [0, 0, 5, 0], [0, 0, 0, 5]]))
        model[3].bias.zero_()
    return model


def accuracy(model, weights, run, path):
    """Return the accuracy on validation images of the int8 file of a network."""
    delivered = copy.deepcopy(model).eval()
    load_state(delivered, weights)
    about = {"stored": SIDE, "side": SIDE, "shape": [1, SIDE, SIDE], "mean": 30.5, "std": 70.25}
    onnx_file.save(path / "float.onnx", delivered, about, list("abc"))
    int8.quantise(path / "float.onnx", path / "int8.onnx", run.seen)
    images, labels = run.splits["val"]
    return float((onnx_file.runner(path / "int8.onnx")(images).argmax(1) == labels).float().mean())


def test_training_recovers_what_rounding_lost_and_the_file_has_it(tmp_path):
    model = outlier()
    run = Run(model, steps=100, lr=0.05)
    run.weights = {name: tensor.numpy() for name, tensor in state(model).items()}
    run.masks = {name: values != 0 for name, values in run.weights.items() if values.ndim == 2}
    run.masks["3.weight"][:, 0] = True
    images, labels = run.splits["val"]
    with torch.no_grad():
        assert float((model(images).argmax(1) == labels).float().mean()) == 1
    found, record = run.train()
    assert record["val_accuracy"] < 0.5
    assert record["val_accuracy_trained"] > 0.9
    assert record["val_loss_trained"] < record["val_loss"]
    for weights, expected in ((run.weights, "val_accuracy"), (found, "val_accuracy_trained")):
        assert accuracy(model, weights, run, tmp_path) == pytest.approx(record[expected])


def test_bad_input_is_one_sentence():
    run = Run(optimizer="sgd", lr=1e38)
    with pytest.raises(InputError, match=r"^int8-train diverges after 20 steps: lower the learning rate\.$"):
        run.train()
    run.seen = []
    with pytest.raises(InputError, match=r"^int8 measures the ranges of activations on training images, and"):
        run.train()
