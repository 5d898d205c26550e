"""Training of the values that weights share."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.compression import shared_values
from prunet.deployment import compact
from prunet.deployment.codebook import quantise
from prunet.deployment.metadata import Storage
from prunet.models.built_in import MODELS, prunable
from prunet.training import batches, gradients
from tests import toys
from tests.toy_stacks import stack

SEEDS = {"order": 1, "augment": 2, "dropout": 3}
SIDE = 6


class Run:
    """A network, its data, and the training of its shared values."""

    def __init__(self, model=None, density=0.3, count=120, **settings):
        self.model = model or MODELS["lenet-300-100"]((1, SIDE, SIDE), 3)
        self.settings = toys.SETTINGS | {"steps": 20, "lr": 0.01} | settings
        self.network = gradients.network(self.model, self.settings)
        self.splits = batches.to_device(toys.data(SIDE, count), None, "none", torch.device("cpu"))
        weights, masks = stack(self.model, 1, density=density)
        self.weights, self.masks = ({n: v[0] for n, v in part.items()} for part in (weights, masks))

    def train(self, bits=2, seeds=SEEDS, biases=False):
        fixed = self.splits, SIDE, self.settings, seeds, Storage(bits, biases=biases)
        return shared_values.train(self.network, self.weights, self.masks, *fixed)


def layers():
    """Return a network that is differentiated by autograd, with a norm and a convolution."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 3)
    )


def entries(run, name, bits):
    return quantise(run.weights[name][run.masks[name]], bits)


@pytest.mark.parametrize("model", [None, layers()], ids=["by hand", "autograd"])
def test_a_layer_keeps_its_zeros_and_at_most_so_many_values(model):
    run = Run(model)
    before = {name: values.copy() for name, values in run.weights.items()}
    found, _ = run.train(bits=2)
    for name in run.masks:
        assert not found[name][~run.masks[name]].any()
        old, of_each = entries(run, name, 2)
        new = [np.unique(found[name][run.masks[name]][of_each == entry]) for entry in range(len(old))]
        assert [len(values) for values in new] == [1] * len(old)  # a weight keeps its entry
        assert np.abs(np.concatenate(new) - old).max() > 1e-3
    for name in before:
        np.testing.assert_array_equal(run.weights[name], before[name])
    for name in found.keys() - run.masks.keys():
        running = "running" in name or "batches" in name
        assert np.array_equal(found[name], before[name]) != running


def test_the_step_of_a_value_is_along_the_sum_of_its_weights_gradients():
    """One step of gradient descent, of one layer and all training images."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 3))
    rate = 0.25
    run = Run(model, steps=1, lr=rate, optimizer="sgd", batch_size=60, weight_decay=0.0)
    old, of_each = entries(run, "1.weight", 2)
    images, labels = run.splits["train"]
    codebook = torch.from_numpy(old).double().requires_grad_()
    weight = torch.zeros(3, SIDE**2).double()
    mask = torch.from_numpy(run.masks["1.weight"])
    weight[mask] = codebook[torch.from_numpy(of_each).long()]
    outputs = images.double().flatten(1) @ weight.T + torch.from_numpy(run.weights["1.bias"]).double()
    (slope,) = torch.autograd.grad(functional.cross_entropy(outputs, labels), codebook)
    found, _ = run.train()
    expected = old - rate * slope.numpy()
    np.testing.assert_allclose(found["1.weight"][run.masks["1.weight"]], expected[of_each], atol=1e-6)


def test_the_loss_falls_and_every_part_of_the_record_is_of_its_network():
    run = Run(steps=150, lr=0.02, density=0.1)
    found, record = run.train(bits=2)
    assert record["val_loss_trained"] < record["val_loss_quantised"] / 2
    untrained, same = Run(steps=0, density=0.1).train(bits=2)
    assert same["val_loss_trained"] == same["val_loss_quantised"] == record["val_loss_quantised"]
    for name in run.masks:
        codebook, of_each = entries(run, name, 2)
        np.testing.assert_array_equal(untrained[name][run.masks[name]], codebook[of_each])
    run.weights = found
    _, again = run.train(bits=2)
    assert (
        again["val_loss"] == again["val_loss_quantised"] == record["val_loss_trained"]
    )  # nothing to quantise
    assert 0 <= again["val_accuracy"] == record["val_accuracy_trained"] <= 1


@pytest.mark.parametrize("model", [None, layers()], ids=["by hand", "autograd"])
def test_equal_seeds_give_equal_bits(model):
    one, two, other = (Run(model).train(seeds=seeds)[0] for seeds in (SEEDS, SEEDS, SEEDS | {"order": 9}))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("biases", [False, True])
def test_a_ticket_file_stores_the_trained_values_exactly(biases):
    run = Run()
    rng = np.random.default_rng(0)
    for name in run.weights.keys() - run.masks.keys():
        run.weights[name] = rng.normal(size=run.weights[name].shape).astype(np.float32)
    found, _ = run.train(bits=3, biases=biases)
    assert len(np.unique(found["fc1.bias"])) == (8 if biases else 300)
    metadata = {
        "model": "lenet-300-100",
        "class_names": ["a", "b", "c"],
        "preparation": {"stored": SIDE, "side": SIDE, "shape": [1, SIDE, SIDE], "mean": 30.5, "std": 70.25},
    }
    read, masks, _ = compact.loads(compact.dumps(found, run.masks, metadata, Storage(3, biases=biases)))
    assert all(np.array_equal(read[name], found[name]) for name in found)
    assert all(np.array_equal(masks[name], run.masks[name]) for name in prunable(run.model))


def test_weights_that_are_not_finite_and_a_training_that_diverges_are_refused():
    run = Run()
    run.weights["fc1.weight"][run.masks["fc1.weight"]] = np.inf
    with pytest.raises(InputError, match=r"^fc1\.weight has weights that are not finite"):
        run.train()
    with pytest.raises(
        InputError, match=r"^the shared values diverge after 20 steps: lower the learning rate\.$"
    ):
        Run(optimizer="sgd", lr=1e30).train()
