import math

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.training.penalties import group_lasso, scale_l1
from prunet.training.plan import TrainingPlan
from tests.toy_training import Toy


def alone(layer):
    """Return the group of one layer whose rows are units of their own."""
    return [(layer, torch.arange(layer.shape[1]))]


def no_step(gradients, rate):
    """Take no step, as an optimizer."""


def test_a_row_is_shortened_by_rate_times_strength_times_the_root_of_its_size():
    """By 0.1 x 2 x sqrt(2) = 0.28: of rows with norms 5, 0.25 and 0, only the first remains."""
    row, short, zero = [3.0, 4.0], [0.15, -0.2], [0.0, 0.0]
    layer = torch.tensor([[row, short, zero]])
    group_lasso(no_step, [alone(layer)], 2.0)([], 0.1)
    factor = 1 - 0.2 * math.sqrt(2) / 5
    assert layer[0, 0].tolist() == pytest.approx([3 * factor, 4 * factor])
    assert not layer[0, 1:].any()
    assert torch.isfinite(layer).all()


def test_rows_that_can_only_go_together_are_one_unit():
    """A unit of rows with norms 3 and 4 has norm 5 and 2 + 2 weights; row 1 of the second layer stays."""
    first = torch.tensor([[[3.0, 0.0], [0.0, 0.1]]])
    second = torch.tensor([[[0.0, 4.0], [7.0, 0.0], [0.1, 0.0]]])
    group = [(first, torch.tensor([0, 1])), (second, torch.tensor([0, -1, 1]))]
    group_lasso(no_step, [group], 2.0)([], 0.1)
    factor = 1 - 0.1 * 2 * math.sqrt(4) / 5
    assert first[0, 0].tolist() == pytest.approx([3 * factor, 0])
    assert second[0, 0].tolist() == pytest.approx([0, 4 * factor])
    assert second[0, 1].tolist() == [7.0, 0.0]
    assert not first[0, 1].any()
    assert not second[0, 2].any()


def test_each_network_of_a_stack_is_shortened_by_itself():
    layer = torch.tensor([[[3.0, 4.0]] * 2, [[0.1, 0.0]] * 2])  # two networks; their rows are one unit
    group_lasso(no_step, [[(layer, torch.tensor([0, 0]))]], 1.0)([], 0.1)
    factor = 1 - 0.1 * 2 / math.sqrt(50)
    assert layer[0].flatten().tolist() == pytest.approx([3 * factor, 4 * factor] * 2)
    assert not layer[1].any()


def test_a_filter_is_one_group_in_any_memory_layout():
    layer = torch.zeros(1, 2, 3, 3, 3).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    layer[0, 0] = 2.0  # norm 2 sqrt(27)
    group_lasso(no_step, [alone(layer)], 0.5)([], 1.0)
    assert layer[0, 0].flatten().tolist() == pytest.approx([1.5] * 27)


def test_the_optimizer_steps_before_the_penalty():
    layer = torch.tensor([[[1.0, 0.0]]])

    def step(gradients, rate):
        layer.sub_(rate * gradients[0])

    group_lasso(step, [alone(layer)], 1.0)([torch.tensor([[[-1.0, 0.0]]])], 0.5)
    assert layer.flatten().tolist() == pytest.approx([1.5 - 0.5 * math.sqrt(2), 0])


def emptied(tmp_path, **settings):
    """Return a toy whose training with group lasso empties some units, and the layers of these."""
    toy = Toy(tmp_path, optimizer="sgd", lr=0.1, weight_decay=0.0, steps=60, **settings)
    toy.masks = {name: torch.ones_like(mask) for name, mask in toy.masks.items()}
    layers = ("fc1.weight", "fc2.weight")
    units = tuple({name: np.arange(toy.masks[name].shape[1])} for name in layers)
    toy.plan = TrainingPlan(keep=60, group_lasso=0.02, units=units)
    return toy, layers


def test_training_with_group_lasso_empties_units_but_not_the_output_layer(tmp_path):
    toy, _ = emptied(tmp_path)
    sparse, _ = toy.train()
    toy.plan = TrainingPlan()
    plain, _ = toy.train()
    assert all(plain[name].any(-1).all() for name in toy.masks)
    for name in ("fc1.weight", "fc2.weight"):
        empty = ~sparse[name].any(-1)
        assert 0 < empty.sum() < empty.size
    assert sparse["output.weight"].any(-1).all()


def test_units_that_group_lasso_emptied_are_empty_in_the_moving_average_too(tmp_path):
    toy, layers = emptied(tmp_path, ema=0.99)
    finished = toy.finish()
    average, last = finished.weights, finished.kept
    for name in layers:
        empty = ~last[name].any(-1)
        assert 0 < empty.sum() < empty.size
        assert not average[name][empty].any()
        assert (average[name][~empty] != last[name][~empty]).any(-1).all()


def test_a_scale_moves_towards_zero_by_rate_times_strength_and_stops_there():
    scales = torch.tensor([[1.0, -1.0, 0.1, -0.1, 0.0]])
    scale_l1(no_step, [scales], 2.0)([], 0.1)
    assert scales.flatten().tolist() == pytest.approx([0.8, -0.8, 0, 0, 0])
    assert not scales[0, 2:].any()


def test_a_penalty_on_norms_is_refused_for_a_model_without_norms(tmp_path):
    toy = Toy(tmp_path)
    toy.plan = TrainingPlan(scale_l1=0.1)
    with pytest.raises(InputError, match=r"training\.scale_l1 .* this model has no norms: set it to 0"):
        toy.train()
