from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.models.built_in import MODELS, prunable
from prunet.models.light_cnn import MaxFeatureMap
from prunet.shrinking.shrinking import shrink
from tests.toy_networks import (
    Model,
    chain,
    count,
    difference,
    fill,
    images,
    prune,
    shrunk,
    single_weights,
    whole,
    whole_outputs,
)

SHAPES = {"lenet-300-100": (1, 8, 8), "light-cnn-9": (1, 32, 32), "resnet-20": (3, 8, 8)}
LAWS = settings(max_examples=25, deadline=None, derandomize=True, database=None)
BIASES = {"biases": 0.1, "no biases": 0}


@pytest.mark.parametrize("bias", BIASES.values(), ids=BIASES)
@pytest.mark.parametrize("mask", [single_weights, whole_outputs])
@pytest.mark.parametrize("density", [0.5, 0.1, 0.005])
@pytest.mark.parametrize("name", SHAPES)
def test_a_smaller_network_has_the_outputs_of_the_masked_one(name, density, mask, bias):
    model, masks = prune(MODELS[name](SHAPES[name], 7), mask, density, bias=bias)
    smaller = shrink(model, masks)
    error, influence = difference(model, smaller, SHAPES[name])
    assert error < 1e-12
    if density == 0.5 or (mask is single_weights and density == 0.1):
        assert influence > 0.01  # so that equal outputs mean something
    if density < 0.1 or mask is whole_outputs:
        assert count(smaller) < count(model)


@pytest.mark.parametrize("name", SHAPES)
def test_a_dense_network_is_not_changed(name):
    model, masks = prune(MODELS[name](SHAPES[name], 7), whole)
    smaller = shrink(model.float(), masks)
    found, expected = smaller.state_dict(), model.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[tensor], expected[tensor]) for tensor in expected)
    given = images(SHAPES[name]).float()
    assert torch.equal(smaller(given), model(given))


@pytest.mark.parametrize("name", SHAPES)
def test_a_network_without_one_layer_has_constant_outputs_and_hardly_any_parameters(name):
    layers = prunable(MODELS[name](SHAPES[name], 7))
    if name == "resnet-20":
        layers = [layers[0], layers[-1]]  # the stem and the output layer; a shortcut bypasses each block
    for gone in layers[:: 4 if name == "light-cnn-9" else 1]:
        model, masks = prune(MODELS[name](SHAPES[name], 7), whole, bias=0)
        masks[gone][:] = False
        with torch.no_grad():
            model.get_parameter(gone).zero_()
            model.get_parameter(layers[-1].replace("weight", "bias")).normal_()
        smaller = shrink(model, masks)
        assert difference(model, smaller, SHAPES[name]) == (0, 0)
        if name == "lenet-300-100":
            assert count(smaller) == 1 + 1 + 1 + 1 + 7 + 7


def test_the_model_itself_is_not_changed():
    model, masks = prune(MODELS["light-cnn-9"]((1, 16, 16), 7), whole_outputs, 0.5)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    kept = {name: mask.copy() for name, mask in masks.items()}
    smaller = shrink(model.train(), masks)
    assert model.training
    assert not smaller.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert all(np.array_equal(masks[name], kept[name]) for name in kept)


def test_pruned_weights_count_as_zero_whatever_they_are():
    model, masks = prune(MODELS["lenet-300-100"]((1, 8, 8), 7), single_weights, 0.02)
    expected = shrink(model, masks).state_dict()
    with torch.no_grad():
        for name, mask in masks.items():
            model.get_parameter(name)[torch.from_numpy(~mask)] = torch.nan
    found = shrink(model, masks).state_dict()
    assert all(torch.equal(found[name], values) for name, values in expected.items())


def test_units_and_pixels_go_and_constants_are_folded_exactly():
    first, second, output = nn.Linear(4, 3), nn.Linear(3, 2), nn.Linear(2, 2)
    model = chain(nn.Flatten(), first, nn.ReLU(), second, nn.ReLU(), output)
    masks = {
        # Unit 0 reads pixels 0 and 2. Unit 1 reads pixel 3, and nothing reads it. Unit 2 is always 2.
        "1.weight": fill(first, [[1.0, 0, 7, 0], [0, 0, 0, 1], [0, 0, 0, 0]], [0.5, 1, 2]),
        # Unit 0 gets 1 + 3 * 2 as its bias. Unit 1 is always relu(-4 + 5 * 2) = 6.
        "3.weight": fill(second, [[9.0, 0, 3], [0, 0, 5]], [1.0, -4]),
        "5.weight": fill(output, [[1.0, 1], [1, -2]], [0.0, 1]),
    }
    smaller = shrunk(model, masks, (1, 2, 2))
    assert smaller[1].select.indices.tolist() == [0, 2]
    assert (smaller[1].layer.weight.tolist(), smaller[1].layer.bias.tolist()) == ([[1, 7]], [0.5])
    assert (smaller[3].weight.tolist(), smaller[3].bias.tolist()) == ([[9]], [7])
    assert (smaller[5].weight.tolist(), smaller[5].bias.tolist()) == ([[1], [1]], [6, -11])


@pytest.mark.parametrize(
    ("bias", "padding", "inputs"),
    [
        (0.5, 1, 2),  # a constant that is not zero next to padding of zeros
        (-0.5, 1, 1),  # relu makes it zero
        (0.5, 0, 1),
        (0.5, "valid", 1),
        (0.5, "same", 2),
    ],
)
def test_a_constant_map_is_kept_only_before_padding(bias, padding, inputs):
    first, second = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 3, 3, padding=padding)
    model = chain(first, nn.ReLU(), nn.MaxPool2d(2), second, nn.Flatten(), nn.LazyLinear(2))
    model(images((1, 8, 8)))
    masks = {"0.weight": np.ones((2, 1, 3, 3), bool)}
    masks["0.weight"][1] = False
    first.bias.data[1] = bias
    smaller = shrunk(model, masks, (1, 8, 8), 1e-14)
    assert (smaller[0].out_channels, smaller[3].in_channels) == (inputs, inputs)


def test_before_padding_one_map_carries_all_constant_ones():
    first, second = nn.Conv2d(1, 5, 3), nn.Conv2d(5, 2, 3, padding=1)
    model = chain(first, second)
    masks = {"0.weight": np.zeros((5, 1, 3, 3), bool)}
    masks["0.weight"][2] = True
    first.bias.data[:] = torch.tensor([1.0, -4, 1, 2, 0])
    smaller = shrunk(model, masks, (1, 8, 8), 1e-14)
    merged = (first.bias[[0, 1, 3], None, None] / -4 * second.weight[:, [0, 1, 3]]).sum(1)
    assert smaller[0].bias.tolist() == [-4, 1]  # the largest carries them
    np.testing.assert_allclose(smaller[1].weight[:, 0].detach(), merged.detach(), rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("gone", "unread", "left"),
    [
        ([], [], 4),
        ([1], [], 4),  # one half of a pair is constant: the pair is kept
        ([1, 3], [], 2),  # both halves
        ([], [0], 2),  # nothing reads the maximum
        ([1, 3], [0], 2),  # every pair could be removed
    ],
)
def test_the_units_of_a_max_feature_map_are_removed_in_pairs(gone, unread, left):
    first, output = nn.Linear(2, 4), nn.Linear(2, 2)
    model = chain(nn.Flatten(), first, MaxFeatureMap(), output)
    masks = {"1.weight": np.ones((4, 2), bool), "3.weight": np.ones((2, 2), bool)}
    masks["1.weight"][gone] = False
    masks["3.weight"][:, unread] = False
    smaller = shrunk(model, masks, (1, 1, 2))
    linear = [module for module in smaller.modules() if isinstance(module, nn.Linear)]
    assert [layer.out_features for layer in linear] == [left, 2]


def test_a_map_is_kept_if_one_of_its_positions_is_read():
    model = chain(nn.Conv2d(1, 3, 1), nn.Flatten(), nn.Linear(12, 2))  # 2x2 positions a map
    masks = {"2.weight": np.zeros((2, 12), bool)}
    masks["2.weight"][0, 1] = masks["2.weight"][1, [9, 11]] = True  # of maps 0 and 2
    smaller = shrunk(model, masks, (1, 2, 2))
    assert smaller[0].out_channels == 2
    assert smaller[2].select.indices.tolist() == [1, 5, 7]
    assert smaller[2].layer.in_features == 3


def test_unread_colours_are_removed():
    model = chain(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(8, 2))
    masks = {"0.weight": np.ones((2, 3, 3, 3), bool)}
    masks["0.weight"][:, 1] = False
    assert shrunk(model, masks, (3, 4, 4), 1e-14)[0].select.indices.tolist() == [0, 2]


def test_a_layer_without_a_bias_gets_one_only_for_constants():
    model = chain(nn.Flatten(), nn.Linear(2, 2), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    masks = {"1.weight": np.array([[True, True], [False, False]])}
    smaller = shrunk(model, masks, (1, 1, 2))
    assert smaller[2].bias is not None
    assert smaller[3].bias is None


@given(
    sizes=st.lists(st.integers(1, 6), min_size=3, max_size=5),
    density=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
@LAWS
def test_a_unit_is_kept_if_it_is_on_a_path_from_a_pixel_to_an_output(sizes, density, seed):
    layers = [nn.Linear(before, after) for before, after in pairwise(sizes)]
    model = chain(nn.Flatten(), *[part for layer in layers for part in (layer, nn.ReLU())])
    model, masks = prune(model, single_weights, density, seed=seed)
    smaller = shrunk(model, masks, (1, 1, sizes[0]), 1e-12)
    reached, reaching = [np.ones(sizes[0], bool)], [np.ones(sizes[-1], bool)]
    for mask in masks.values():
        reached.append(mask @ reached[-1])
    for mask in reversed(masks.values()):
        reaching.append(reaching[-1] @ mask)
    passed = [np.sum(here & there) for here, there in zip(reached, reversed(reaching), strict=True)]
    kept = [*(max(1, units) for units in passed[:-1]), sizes[-1]]
    assert count(smaller) == sum((before + 1) * after for before, after in pairwise(kept))


@given(density=st.floats(0, 1), seed=st.integers(0, 2**32), padding=st.sampled_from([0, 1]))
@LAWS
def test_small_convolutional_networks_keep_their_outputs(density, seed, padding):
    model = chain(
        nn.Conv2d(2, 4, 3, padding=1),
        MaxFeatureMap(),
        nn.MaxPool2d(2),
        nn.Conv2d(2, 6, 2, padding=padding),
        MaxFeatureMap(),
        nn.Conv2d(3, 2, 1),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(2 * (2 + 2 * padding) ** 2, 4),
        MaxFeatureMap(),
        nn.Linear(2, 3),
    )
    model, masks = prune(model, single_weights, density, seed=seed)
    smaller = shrunk(model, masks, (2, 6, 6), 1e-12)
    nonzero = sum(int(parameter.count_nonzero()) for parameter in smaller.parameters() if parameter.ndim > 1)
    assert nonzero <= sum(mask.sum() for mask in masks.values())


def flat(follow):
    """Return a model of one layer and a function of the model and the flattened images."""
    return Model(lambda model, images: follow(model, images.flatten(1)), layer=nn.Linear(4, 4))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 4), nn.Sigmoid()), r"Sigmoid \(at 2\)"),
        (nn.Sequential(nn.Conv2d(2, 2, 1, groups=2)), "a grouped convolution"),
        (nn.Sequential(nn.Conv2d(1, 2, 1), nn.Linear(2, 2)), "Linear on features of 4 dimensions"),
        (nn.Sequential(nn.Flatten(2), nn.Linear(4, 2)), "Linear on features of 3 dimensions"),
        (nn.Sequential(nn.Flatten(), nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 2, 1)), "Unflatten"),
        (flat(lambda model, x: x + model.layer(x)), "branches with different features"),
        (flat(lambda model, x: functional.linear(model.layer(x), model.layer.weight)), "layer.weight"),
        (flat(lambda model, x: (model.layer(x), x)[1]), "leaves features unused"),
        (flat(lambda model, x: (model.layer(x),) * 2), "returns more than one tensor"),
        (flat(lambda model, x: model.layer(model.layer(x))), "uses a layer twice"),
        (flat(lambda model, x: model.layer(x) if x.sum() > 0 else x), "depend on its images"),
    ],
)
def test_unsupported_models_are_refused(model, message):
    with pytest.raises(InputError, match=f"^cannot remove units of .*({message}).*; keep all units"):
        shrink(model, {})


@pytest.mark.parametrize(("name", "shape"), [("fc9.weight", (300, 4)), ("fc1.weight", (300, 5))])
def test_masks_of_another_model_are_refused(name, shape):
    with pytest.raises(InputError, match=rf"mask {name} \(300, \d\) fits no layer; use"):
        shrink(MODELS["lenet-300-100"]((1, 2, 2), 2), {name: np.ones(shape, bool)})
