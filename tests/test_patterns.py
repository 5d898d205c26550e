"""N:M patterns of masks."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.sparse import _semi_structured_conversions as conversions

import prunet
from prunet.base.errors import InputError
from prunet.config.params import stage_params
from prunet.pruning import patterns
from tests import toys
from tests.toy_pruning import pruned

RULES = {"rate": 0.5, "pattern": "2:4"}


def test_the_best_two_of_every_four_inputs_stay():
    """Of equal scores the earlier go first, and before them what the mask has removed."""
    scores = np.array([[4, 1, 3, 2, 1, 1, 1, 1], [9, 8, 7, 6, 0, 1, 0, 0]], float)
    mask = np.ones(scores.shape, bool)
    mask[1, :3] = False
    assert patterns.keep_best(scores, mask, "2:4").astype(int).tolist() == [
        [1, 0, 1, 0, 0, 0, 1, 1],
        [0, 0, 0, 1, 0, 1, 0, 1],
    ]
    assert patterns.keep_best(scores, mask, "1:4").astype(int)[0].tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert patterns.keep_best(scores, mask, "4:8").astype(int)[0].tolist() == [1, 0, 1, 1, 0, 0, 0, 1]


def test_groups_of_a_filter_are_of_input_channels_at_one_position():
    scores = np.arange(2 * 8 * 3 * 3).reshape(2, 8, 3, 3) % 7.0
    mask = patterns.keep_best(scores, np.ones(scores.shape, bool), "2:4")
    groups = mask.transpose(0, 2, 3, 1).reshape(-1, 4)
    assert (groups.sum(1) == 2).all()
    filters = patterns.keep_best(scores[:, :, 1, 2], np.ones((2, 8), bool), "2:4")
    np.testing.assert_array_equal(mask[:, :, 1, 2], filters)


def test_a_round_under_a_pattern_leaves_layers_with_their_own_rate_whole():
    weights = {name: np.random.default_rng(0).normal(size=(2, 3, 8)) for name in "ab"}
    after = pruned(weights, criterion="magnitude", pattern="2:4", own={"b": 0.0})
    assert after["b"].all()
    assert (after["a"].reshape(-1, 4).sum(1) == 2).all()
    removed = np.where(after["a"], 0, np.abs(weights["a"])).reshape(-1, 4).max(1)
    assert (removed < np.where(after["a"], np.abs(weights["a"]), 9).reshape(-1, 4).min(1)).all()


@pytest.fixture
def network():
    torch.manual_seed(0)
    first, depthwise = nn.Conv2d(3, 64, 3), nn.Conv2d(64, 64, 3, groups=64)
    layers = [nn.Conv2d(64, 32, 3), nn.ConvTranspose2d(32, 32, 1), nn.Flatten(), nn.Linear(128, 32)]
    return nn.Sequential(first, depthwise, *layers)


def test_the_library_keeps_layers_whole_whose_inputs_are_no_multiple(network):
    masks = prunet.prune(network, torch.randn(2, 3, 8, 8), pattern="2:4")
    left = {name: float(mask.float().mean()) for name, mask in masks.items()}
    assert left == {"0.weight": 1, "1.weight": 1, "2.weight": 0.5, "3.weight": 1, "5.weight": 0.5}


@pytest.mark.parametrize("name", ["2.weight", "5.weight"])
def test_pytorch_compresses_the_weights_without_loss(network, name):
    """By the conversion of `torch.sparse.to_sparse_semi_structured`, which itself needs a GPU."""
    prunet.apply_masks(network, prunet.prune(network, torch.randn(2, 3, 8, 8), pattern="2:4"))
    weight = network.get_parameter(name).detach().half()
    matrix = weight.movedim(1, -1).flatten(1)
    values, positions = conversions.sparse_semi_structured_from_dense_cutlass(matrix)
    assert values.shape == (32, matrix.shape[1] // 2)
    assert torch.equal(conversions.sparse_semi_structured_to_dense_cutlass(values, positions), matrix)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"pattern": "4:2"}, "pattern is '4:2'; give N:M with N from 1 to below M"),
        ({"pattern": ""}, "pattern is ''; give N:M"),
        ({"pattern": "half"}, "pattern is 'half'; give N:M"),
        ({"criterion": "unit-l2"}, "criterion unit-l2 removes whole units; choose a criterion of single"),
        ({"scope": "global"}, "scope global would decide on it; set scope to layer"),
        ({"target": {"parameters": 0.5}}, "a target would decide on it; set scope to layer and no target"),
        ({"own": {"5.weight": 0.25}}, "5.weight has its own, 0.25; leave the layer out"),
        ({"pattern": "2:5"}, "pattern 2:5 fits no layer: none has a number of inputs"),
    ],
)
def test_what_contradicts_a_pattern_is_refused(network, options, says):
    with pytest.raises(InputError, match=says):
        prunet.prune(network, torch.randn(2, 3, 8, 8), **{"pattern": "2:4"} | options)


@pytest.mark.parametrize(
    ("change", "last_round", "says"),
    [
        ({"rate": 0.2}, 1, r"pattern 2:4 removes 0\.5 of the weights, and rate is 0\.2: set rate to 0\.5"),
        ({"target": {"parameters": 0.5}}, 1, "a target would decide on it"),
        ({"criterion": "filter-l1"}, 1, "criterion filter-l1 removes whole units"),
        ({"output_rate_factor": 0.5}, 1, "set output_rate_factor to 1"),
        ({}, 2, "is reached in one round, and rounds has 2 after 00"),
    ],
)
def test_settings_that_contradict_a_pattern_are_refused(change, last_round, says):
    with pytest.raises(ValueError, match=says):
        toys.params_values(prune=RULES | change, last_round=last_round)


def test_a_study_names_the_layers_that_a_pattern_leaves_whole(capsys):
    study = {"model": "resnet-20", "input_size": 8}
    found = stage_params(toys.params_values(prune=RULES, study=study))["toy/prune"]["prune"]
    assert (found["pattern"], found["own"]) == ("2:4", {"conv1.weight": 0.0})
    expected = "studies.toy: stay whole, since pattern 2:4 does not fit their inputs: conv1.weight."
    assert expected in capsys.readouterr().out


def test_own_rates_contradict_a_pattern_in_a_study():
    layers = {"leave_out": [], "own_rate": {"fc1": 0.1}}
    values = toys.params_values(prune=RULES, study={"layers": layers})
    with pytest.raises(InputError, match=r"pattern 2:4 decides the rate of every layer, and fc1\.weight has"):
        stage_params(values)
