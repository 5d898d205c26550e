import math

import pytest
import torch

from prunet.base.errors import InputError
from prunet.pruning.course import Course
from prunet.training.penalties import group_lasso, scale_l1
from tests.toy_training import Toy


def still(gradients, rate):
    """An optimizer that takes no step."""


def test_a_row_is_shortened_by_rate_times_strength_times_the_root_of_its_size():
    """By 0.1 x 2 x sqrt(2) = 0.28: of rows as long as 5, 0.25 and 0 the first is left."""
    row, short, zero = [3.0, 4.0], [0.15, -0.2], [0.0, 0.0]
    layer = torch.tensor([[row, short, zero]])
    group_lasso(still, [layer], 2.0)([], 0.1)
    factor = 1 - 0.2 * math.sqrt(2) / 5
    assert layer[0, 0].tolist() == pytest.approx([3 * factor, 4 * factor])
    assert not layer[0, 1:].any()
    assert torch.isfinite(layer).all()


def test_filters_are_groups_of_all_their_weights_in_any_memory_layout():
    layer = torch.zeros(1, 2, 3, 3, 3).permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    layer[0, 0] = 2.0  # length 2 sqrt(27)
    group_lasso(still, [layer], 0.5)([], 1.0)
    assert layer[0, 0].flatten().tolist() == pytest.approx([1.5] * 27)


def test_it_is_the_proximal_operator():
    """No point near it is lower on |v - w|^2 / 2 + rate x strength x sqrt(p) |v|."""
    before = torch.tensor([1.0, -2.0, 0.5])
    after = before.view(1, 1, 3).clone()
    group_lasso(still, [after], 0.7)([], 0.9)

    def objective(v):
        return ((v - before) ** 2).sum() / 2 + 0.9 * 0.7 * math.sqrt(3) * v.norm()

    lowest = objective(after.flatten())
    generator = torch.Generator().manual_seed(0)
    for scale in (0.01, 0.3, 2):
        around = after.flatten() + scale * torch.randn(200, 3, generator=generator)
        assert all(objective(point) >= lowest for point in around)


def test_the_step_comes_first():
    layer = torch.tensor([[[1.0, 0.0]]])

    def step(gradients, rate):
        layer.sub_(rate * gradients[0])

    group_lasso(step, [layer], 1.0)([torch.tensor([[[-1.0, 0.0]]])], 0.5)
    assert layer.flatten().tolist() == pytest.approx([1.5 - 0.5 * math.sqrt(2), 0])


def test_a_training_empties_units_but_not_the_output_layer(tmp_path):
    cell = Toy(tmp_path, optimizer="sgd", lr=0.1, weight_decay=0.0, steps=60)
    cell.masks = {name: torch.ones_like(mask) for name, mask in cell.masks.items()}
    plain, _ = cell.train()
    cell.course = Course(group_lasso=0.02)
    sparse, _ = cell.train()
    assert all(plain[name].any(-1).all() for name in cell.masks)
    for name in ("fc1.weight", "fc2.weight"):
        empty = ~sparse[name].any(-1)
        assert 0 < empty.sum() < empty.size
    assert sparse["output.weight"].any(-1).all()


def test_a_scale_comes_nearer_to_zero_by_rate_times_strength_and_stops_there():
    scales = torch.tensor([[1.0, -1.0, 0.1, -0.1, 0.0]])
    scale_l1(still, [scales], 2.0)([], 0.1)
    assert scales.flatten().tolist() == pytest.approx([0.8, -0.8, 0, 0, 0])
    assert not scales[0, 2:].any()


def test_a_penalty_on_norms_that_there_are_not_is_refused(tmp_path):
    cell = Toy(tmp_path)
    cell.course = Course(scale_l1=0.1)
    with pytest.raises(InputError, match=r"training\.scale_l1 .* this model has none: set it to 0"):
        cell.train()
