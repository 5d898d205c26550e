from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from prunet.deployment import sparse
from prunet.deployment.products import PRODUCTS, Chain, Convolution
from prunet.deployment.sparse import sparsify
from prunet.models import built_in as models
from prunet.shrinking.cutting import Select
from prunet.shrinking.shrinking import shrink
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model, prune, rows, single_weights

DIGITS = (1, 6, 6)
FACES = (1, 16, 16)


def pruned(model, density=0.3):
    model, masks = prune(model, single_weights, density)
    return model.float(), masks


def images(count, shape, seed=1):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def kinds(model, kind):
    return {name: kind for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)}


@torch.no_grad()
def assert_same(model, other, x):
    torch.testing.assert_close(other(x), model(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", PRODUCTS)
@pytest.mark.parametrize("columns", [(), (1,), (5,), (40,)])
@pytest.mark.parametrize("density", [0, 0.2, 1])
def test_a_product_is_the_matrix_product(kind, columns, density):
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(7, 9)).astype(np.float32) * (rng.random((7, 9)) < density)
    x = rng.normal(size=(9, *columns)).astype(np.float32)
    found = PRODUCTS[kind](weight)(x)
    assert found.shape == (7, *columns)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, weight @ x, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", ["csr", "bag"])
@pytest.mark.parametrize("columns", [(), (5,)])
def test_a_sparse_product_skips_pruned_weights(kind, columns):
    weight = np.array([[1, 0, 2], [0, 0, 3]], np.float32)
    x = np.ones((3, *columns), np.float32)
    x[1] = np.inf  # would give NaN if multiplied by zero
    np.testing.assert_array_equal(PRODUCTS[kind](weight)(x), np.full((2, *columns), 3.0))


MIXED = {"fc1": "csr", "fc2": "bag", "output": "dense"}


@pytest.mark.parametrize("choices", [*(dict.fromkeys(MIXED, kind) for kind in PRODUCTS), MIXED])
def test_a_fully_connected_network_becomes_one_chain_with_the_same_outputs(choices):
    model, _ = pruned(models.MODELS["lenet-300-100"](DIGITS, 3))
    before = {name: values.clone() for name, values in model.state_dict().items()}
    made, chosen = sparsify(model, images(2, DIGITS), choices)
    assert isinstance(made, Chain)
    assert chosen == choices
    for count in (1, 2, 17):
        assert_same(model, made, images(count, DIGITS))
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("batch", [1, 20])
@pytest.mark.parametrize(("name", "shape"), [("lenet-300-100", DIGITS), ("light-cnn-9", FACES)])
def test_measured_choices_keep_the_outputs_and_can_be_used_again(name, shape, batch):
    model, _ = pruned(models.MODELS[name](shape, 3), 0.05)
    made, chosen = sparsify(model, images(batch, shape), None)
    assert list(chosen) == list(kinds(model, ""))
    assert set(chosen.values()) <= {*PRODUCTS, "torch", "compiled"}
    again, same = sparsify(model, images(batch, shape), chosen)
    assert same == chosen
    for count in (1, batch):
        x = images(count, shape)
        assert_same(model, made, x)
        assert torch.equal(again(x), made(x))


@pytest.mark.parametrize(("name", "shape"), [("resnet-20", (3, 8, 8)), ("light-cnn-29", FACES)])
def test_networks_with_branches_have_the_same_outputs(name, shape):
    model, masks = prune(models.MODELS[name](shape, 3), rows, 0.5)
    small = shrink(model.float(), masks)
    layers = {name: layer for name, layer in small.named_modules() if isinstance(layer, sparse.LAYERS)}
    choices = {
        name: "csr" if isinstance(layer, nn.Linear) else "torch" if layer.stride == (2, 2) else "bag"
        for name, layer in layers.items()
    }
    made, chosen = sparsify(small, images(2, shape), choices)
    assert chosen == choices
    assert_same(small, made, images(3, shape))


@pytest.mark.parametrize("kind", ["bag", "torch"])
def test_a_convolutional_network_has_the_same_outputs(kind):
    model, _ = pruned(models.MODELS["light-cnn-9"](FACES, 3))
    made, chosen = sparsify(model, images(2, FACES), kinds(model, kind))
    assert chosen == kinds(model, kind)
    left = [module for module in made.modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    assert len(left) == (0 if kind == "bag" else 11)
    for count in (1, 3):
        assert_same(model, made, images(count, FACES))
    channels_last = images(3, FACES).to(memory_format=torch.channels_last)
    assert_same(model, made, channels_last)


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("bag", nn.Conv2d(4, 6, 1)),
        ("bag", nn.Conv2d(4, 6, 3, padding=1)),
        ("bag", nn.Conv2d(4, 6, (3, 5), padding=(1, 2))),
        ("bag", nn.Conv2d(4, 6, (1, 3), padding=(0, 2), dilation=(1, 2))),
        ("bag", nn.Conv2d(4, 6, 5, padding=2, bias=False)),
        ("torch", nn.Conv2d(4, 6, 3)),
        ("torch", nn.Conv2d(4, 6, 2, padding=1)),
        ("torch", nn.Conv2d(4, 6, 3, padding=1, stride=2)),
        ("torch", nn.Conv2d(4, 6, 3, padding=1, groups=2)),
        ("torch", nn.Conv2d(4, 6, 3, padding=1, padding_mode="circular")),
        ("torch", nn.Conv2d(4, 6, 3, padding="same")),
    ],
)
def test_only_a_convolution_that_keeps_the_size_can_become_a_product(kind, layer):
    model, _ = pruned(nn.Sequential(nn.ReLU(), layer))
    made, chosen = sparsify(model, images(2, (4, 7, 9)), {"1": "bag"})
    assert chosen == {"1": kind}
    assert isinstance(made[1], Convolution) == (kind == "bag")
    x = images(2, (4, 7, 9))
    assert_same(model, made, x)
    assert_same(model, made, x.to(memory_format=torch.channels_last))


@pytest.mark.parametrize("kind", PRODUCTS)
@pytest.mark.parametrize("bias", [True, False])
def test_selections_and_other_modules_keep_their_positions(kind, bias):
    model, _ = pruned(
        nn.Sequential(
            nn.Conv2d(1, 2, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Sequential(Select(torch.tensor([0, 3, 5, 12])), nn.Linear(4, 8, bias)),
            nn.Tanh(),
            nn.Linear(8, 3, bias),
            nn.ReLU(),
            nn.Linear(3, 3, bias),
        )
    )
    choices = kinds(model, kind) | {"0": "torch"}
    made, chosen = sparsify(model, images(1, DIGITS), choices)
    assert chosen == choices == {"0": "torch", "3.1": kind, "5": kind, "7": kind}
    assert [type(module) for module in made] == [nn.Conv2d, Chain, nn.Tanh, Chain]
    for count in (1, 4):
        assert_same(model, made, images(count, DIGITS))


def test_layers_of_a_module_that_is_not_a_sequence_are_not_a_chain():
    layers = {"first": nn.Linear(4, 4), "second": nn.Linear(4, 4)}
    model, _ = pruned(Model(lambda model, x: model.first(model.second(x).tanh()), **layers), 0.5)
    made, chosen = sparsify(model, images(1, (4,)), {"first": "csr", "second": "bag"})
    assert chosen == {"first": "csr", "second": "bag"}
    assert_same(model, made, images(3, (4,)))


def test_a_chain_does_not_change_its_input():
    model, _ = pruned(nn.Sequential(nn.ReLU(), nn.Linear(3, 2)))
    made, _ = sparsify(model, -torch.ones(1, 3), {"1": "csr"})
    x = -torch.ones(1, 3)
    made(x)
    assert torch.equal(x, -torch.ones(1, 3))


@pytest.mark.parametrize(("name", "shape"), [("lenet-300-100", DIGITS), ("light-cnn-9", FACES)])
def test_a_shrunk_network_can_be_sparse(name, shape):
    model, masks = pruned(models.MODELS[name](shape, 3), 0.02)
    small = shrink(model, masks)
    made, chosen = sparsify(small, images(1, shape), kinds(small, "bag"))
    assert set(chosen.values()) == {"bag"}
    for count in (1, 3):
        assert_same(model, made, images(count, shape))


def fake_times(monkeypatch, whole):
    """Make `csr` the fastest product; the whole chain takes `whole` seconds and the original modules 5."""
    seconds = {"dense": 2, "csr": 1, "bag": 3, "torch": 5, "sparse": whole, "compiled": 9}

    def alternate(forms, argument, duration, least):
        for form in forms.values():
            form(argument)
        return {name: [20 - seconds[name], seconds[name]] for name in forms}

    monkeypatch.setattr(sparse.latency, "alternate", alternate)


@pytest.mark.parametrize(("whole", "chosen"), [(4, "csr"), (6, "torch")])
def test_the_fastest_product_is_chosen_unless_the_original_layers_are_faster(monkeypatch, whole, chosen):
    fake_times(monkeypatch, whole)
    model, _ = pruned(models.MODELS["lenet-300-100"](DIGITS, 3))
    made, choices = sparsify(model, images(1, DIGITS))
    assert choices == {"fc1": chosen, "fc2": chosen, "output": chosen}
    assert isinstance(made, Chain if chosen == "csr" else nn.Sequential)
    assert_same(model, made, images(2, DIGITS))


def test_a_product_is_measured_on_the_input_of_its_layer(monkeypatch):
    model, _ = pruned(models.MODELS["lenet-300-100"](DIGITS, 3))
    taken = []

    def alternate(forms, argument, duration, least):
        taken.append(argument)
        return {name: [1.0] for name in forms}

    monkeypatch.setattr(sparse.latency, "alternate", alternate)
    x = images(5, DIGITS)
    sparsify(model, x)
    with torch.no_grad():
        inputs = [model[:1](x), model[:3](x), model[:5](x)]
    for expected, found in zip(inputs, taken, strict=False):
        np.testing.assert_allclose(found, expected.T, rtol=1e-5)
    assert torch.equal(taken[3], x)
    assert [len(array) for array in taken] == [36, 300, 100, 5]
    assert all(first is not second for first, second in pairwise(taken))


class OnGPU(torch.Tensor):
    """A tensor that claims to be on a GPU."""

    is_cuda = True


def test_on_a_gpu_no_layer_is_changed():
    model, _ = pruned(models.MODELS["light-cnn-9"](FACES, 3))
    made, chosen = sparsify(model, images(1, FACES).as_subclass(OnGPU))
    assert chosen == kinds(model, "torch")
    assert [type(module) for module in made.modules()] == [type(module) for module in model.modules()]
