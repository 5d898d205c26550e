"""Layers in two parts."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from prunet.base.errors import InputError
from prunet.compression import low_rank, rank_choice
from prunet.models import factors
from prunet.models.built_in import MODELS, prunable
from prunet.models.state import state
from tests.toy_networks import images
from tests.toy_stacks import outputs, stack


def network(layer, *after):
    return nn.Sequential(nn.Identity(), layer, *after).double().eval()


# Each layer with the shape of its input, groups, rows and columns.
LAYERS = {
    "linear": (nn.Linear(6, 4), (6,), (1, 4, 6)),
    "without bias": (nn.Linear(6, 4, bias=False), (6,), (1, 4, 6)),
    "conv": (nn.Conv2d(3, 5, 3, stride=2, padding=1), (3, 7, 7), (1, 5, 27)),
    "dilated": (
        nn.Conv2d(2, 4, (3, 2), padding=2, dilation=2, padding_mode="circular"),
        (2, 6, 6),
        (1, 4, 12),
    ),
    "groups": (nn.Conv2d(4, 6, 3, groups=2, padding="same"), (4, 5, 5), (2, 3, 18)),
    "one dimension": (nn.Conv1d(3, 4, 3), (3, 8), (1, 4, 9)),
    "three dimensions": (nn.Conv3d(2, 3, 2), (2, 4, 4, 4), (1, 3, 16)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_at_full_rank_two_layers_compute_what_one_does(kind):
    layer, shape, matrix = LAYERS[kind]
    model, given = network(layer), images(shape)
    assert factors.matrix_shape(layer) == matrix
    weights, masks = stack(model, 2)
    found = low_rank.factor(model, weights, masks, {"1": min(matrix[1:])}, given)
    for number in (0, 1):
        one, two = outputs(model, weights, given, number), outputs(found.model, found.weights, given, number)
        assert two.shape == one.shape
        assert float((one - two).abs().max()) < 1e-12
    assert all(mask.all() for mask in found.masks.values())


@pytest.mark.parametrize("kind", ["linear", "conv", "groups"])
@pytest.mark.parametrize("rank", [1, 2])
def test_the_error_is_that_of_the_singular_values_that_are_left_out(kind, rank):
    layer, shape, matrix = LAYERS[kind]
    model = network(layer)
    weights, masks = stack(model, 2)
    found = low_rank.factor(model, weights, masks, {"1": rank}, images(shape))
    product = low_rank.product(found.weights["1.0.weight"], found.weights["1.1.weight"])
    values = np.linalg.svd(weights["1.weight"].reshape(2, *matrix), compute_uv=False)
    error = ((product - weights["1.weight"]) ** 2).reshape(2, -1).sum(1)
    np.testing.assert_allclose(error, (values[..., rank:] ** 2).sum((1, 2)), rtol=1e-10)
    assert np.linalg.matrix_rank(product.reshape(2, *matrix)).max() == rank


def test_parameters_of_the_parts_are_counted_exactly():
    model = network(nn.Conv2d(4, 6, 3, groups=2))
    weights, masks = stack(model, 1)
    found = low_rank.factor(model, weights, masks, {"1": 2}, images((4, 5, 5)))
    shapes = {name: values.shape[1:] for name, values in found.weights.items()}
    assert shapes == {"1.0.weight": (4, 2, 3, 3), "1.1.weight": (6, 2, 1, 1), "1.1.bias": (6,)}
    assert prunable(found.model) == list(found.masks) == ["1.0.weight", "1.1.weight"]
    assert list(found.weights) == list(state(found.model))


DIAGONALS = np.array([[[3.0, 2, 1, 0]], [[4.0, 3, 3, 2]]])  # squares: 9 4 1 0 of 14, and 16 9 9 4 of 38


@pytest.mark.parametrize(
    ("rule", "amount", "rank"),
    [
        *(("energy", 9 / 14, 2), ("energy", 25 / 38, 2), ("energy", 26 / 38, 3), ("energy", 1.0, 4)),
        *(("share", 0.5, 2), ("share", 0.01, 1), ("share", 1.0, 4), ("number", 3, 3)),
    ],
)
def test_the_rank_is_the_highest_that_a_network_needs(rule, amount, rank):
    assert rank_choice.RULES[rule](DIAGONALS, amount) == rank


def test_the_energy_of_a_grouped_layer_is_that_of_all_groups():
    values = np.array([[[3.0, 0], [1, 1]]])  # at rank 1: 10 of 11
    assert rank_choice.by_energy(values, 10 / 11) == 1
    assert rank_choice.by_energy(values, 0.95) == 2


def test_a_layer_without_any_weight_has_rank_1():
    assert rank_choice.by_energy(np.zeros((1, 1, 3)), 0.9) == 1


def test_only_layers_that_get_smaller_are_divided():
    model = network(nn.Linear(8, 8), nn.Linear(8, 3))  # 64 weights: 16 for each rank; 24: 11
    weights, masks = stack(model, 1)
    assert rank_choice.choose(model, weights, masks, "number", 3)[0] == {"1": 3}
    assert rank_choice.choose(model, weights, masks, "number", 4) == (
        {},
        {"1": "with rank 4 it would not get smaller", "2": "its full rank is 3"},
    )
    assert rank_choice.choose(model, weights, masks, "number", 2, whole=["2"]) == (
        {"1": 2},
        {"2": "it was to stay whole"},
    )


def test_weights_are_counted_where_they_survive():
    model = network(nn.Linear(8, 8))
    weights, masks = stack(model, 1)
    masks["1.weight"][:, 4:] = False  # 32 weights: 12 for each rank
    assert rank_choice.choose(model, weights, masks, "number", 2)[0] == {"1": 2}
    assert rank_choice.choose(model, weights, masks, "number", 3)[0] == {}


def test_empty_rows_and_columns_stay_pruned():
    model = network(nn.Conv2d(8, 20, 3, groups=2))
    weights, masks = stack(model, 2, density=0.8)
    masks["1.weight"][0, 0] = False  # an output
    masks["1.weight"][1, 10:, 1] = False  # an input of the second group
    weights["1.weight"] *= masks["1.weight"]
    found = low_rank.factor(model, weights, masks, {"1": 10}, images((8, 5, 5)))
    expected = {name: np.ones(mask.shape, bool) for name, mask in found.masks.items()}
    expected["1.1.weight"][0, 0] = False
    expected["1.0.weight"][1, 10:, 1] = False
    for name, mask in expected.items():
        np.testing.assert_array_equal(found.masks[name], mask)
        assert not found.weights[name][~mask].any()  # to the last bit
    product = low_rank.product(found.weights["1.0.weight"], found.weights["1.1.weight"])
    np.testing.assert_allclose(product, weights["1.weight"], atol=1e-12)


@pytest.mark.parametrize("name", ["lenet-300-100", "lenet-5", "light-cnn-9", "resnet-20"])
def test_built_in_networks_in_parts(name):
    model = MODELS[name]((1, 32, 32), 3).eval()
    weights, masks = stack(model, 1)
    chosen, _ = rank_choice.choose(model, weights, masks, "share", 0.1)
    found = low_rank.factor(model, weights, masks, chosen, torch.randn(2, 1, 32, 32))
    assert len(chosen) >= 3
    assert sum(mask.sum() for mask in found.masks.values()) < sum(mask.sum() for mask in masks.values())


class SamePadding(nn.Conv2d):
    """A convolution that pads in its own way, as those of EfficientNet do."""

    def forward(self, images):
        return super().forward(nn.functional.pad(images, (0, 1, 0, 1)))


class Reading(nn.Module):
    """A network that reads the weight of a layer without calling it."""

    def __init__(self):
        super().__init__()
        self.called, self.read = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, images):
        return nn.functional.linear(self.called(images), self.read.weight)


def test_a_layer_of_a_class_of_its_own_keeps_its_class():
    model = network(SamePadding(2, 4, 2))
    found = low_rank.factor(model, *stack(model, 1), {"1": 2}, images((2, 5, 5)))
    assert [type(part) for part in found.model[1]] == [SamePadding, nn.Conv2d]


def test_a_layer_whose_weight_the_network_reads_is_named():
    model = Reading().double()
    with pytest.raises(
        InputError, match=r"^the network computes something else with read in two parts \(Attr"
    ):
        low_rank.factor(model, *stack(model, 1), {"called": 2, "read": 2}, images((6,)))


class Scaled(nn.Linear):
    """A layer that scales its outputs."""

    def forward(self, images):
        return super().forward(images) * self.weight.abs().max()


def test_a_layer_that_does_more_than_multiply_is_named():
    model = network(Scaled(6, 6))
    with pytest.raises(
        InputError, match=r"with 1 in two parts \(relative difference .*leave these layers whole"
    ):
        low_rank.factor(model, *stack(model, 1), {"1": 2}, images((6,)))


def test_tied_computed_and_other_weights_stay_whole():
    tied = network(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6))
    tied[2].weight = tied[1].weight
    layers, reasons = factors.divisible(tied)
    assert (layers, reasons) == (["3"], {"1.weight": "other layers share this weight"})
    computed = network(parametrizations.weight_norm(nn.Linear(6, 6)), nn.ConvTranspose2d(2, 2, 2))
    assert factors.divisible(computed)[0] == []
    assert list(factors.divisible(computed)[1]) == ["2.weight"]
    attention = nn.TransformerEncoderLayer(8, 2)
    assert factors.divisible(attention)[0] == ["linear1", "linear2"]
    assert factors.divisible(nn.Linear(3, 3))[0] == []


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"1": 5}, r"^rank 5 does not fit 1, whose full rank is 4: give 1 to 4\.$"),
        ({"1": 0}, r"^rank 0 does not fit 1"),
        ({"fc9": 1}, r"^fc9 cannot be two layers \(there is no layer .*\): choose among 1\.$"),
    ],
)
def test_ranks_that_do_not_fit_are_refused(chosen, message):
    model = network(nn.Linear(6, 4))
    before = copy.deepcopy(state(model))
    with pytest.raises(InputError, match=message):
        factors.divide(model, chosen)
    assert state(model).keys() == before.keys()


def test_choices_that_do_not_fit_are_refused():
    model = network(nn.Linear(6, 4))
    weights, masks = stack(model, 1)
    with pytest.raises(
        InputError, match=r"^rank 5 is larger than every layer: give at most 4, the rank of 1\.$"
    ):
        rank_choice.choose(model, weights, masks, "number", 5)
    with pytest.raises(InputError, match=r"^there is no layer fc to leave whole: choose among 1\.$"):
        rank_choice.choose(model, weights, masks, "energy", 0.5, whole=["fc"])
