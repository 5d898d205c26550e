"""Scores of a network without units of one group, and rates by which all groups lose equally much."""

import numpy as np
import pytest
import torch
from torch import nn

import prunet
from prunet.base.errors import InputError
from prunet.pruning.sensitivity import Sensitivity, allocate

SHARES = (0.25, 0.5, 0.75)
CURVES = Sensitivity(SHARES, 0.9, {"hard": [0.8, 0.6, 0.5], "soft": [0.9, 0.95, 0.85], "free": [0.9] * 3})


def test_groups_lose_equally_much_of_the_score_and_those_that_lose_none_go_first():
    assert allocate(CURVES, 0) == dict.fromkeys(CURVES.scores, 0)
    assert allocate(CURVES, 1) == pytest.approx(dict.fromkeys(CURVES.scores, 0.75))
    middle = allocate(CURVES, 0.5)  # 0.2 of the largest loss of 0.4
    assert middle["hard"] == pytest.approx(0.25 + 0.25 * 0.1 / 0.2, abs=1e-3)
    assert middle["soft"] == middle["free"] == 0.75
    little = allocate(CURVES, 1e-4)
    assert little["hard"] < 0.01 < little["soft"] == pytest.approx(little["free"])
    for loss in np.linspace(0, 0.9, 19):
        less, more = allocate(CURVES, loss), allocate(CURVES, loss + 0.1)
        assert all(less[group] <= more[group] for group in less)


def test_without_any_loss_all_groups_lose_the_same_share():
    flat = Sensitivity(SHARES, 0.9, {"a": [0.9] * 3, "b": [0.95] * 3})
    assert allocate(flat, 0.6) == pytest.approx({"a": 0.45, "b": 0.45})


class Chain(nn.Module):
    """Its first layer has four different units, of which the second one reads only the first."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.last = (
            nn.Linear(*size, bias=False) for size in ((2, 4), (4, 4), (4, 1))
        )
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[4.0, 0], [3, 0], [2, 0], [1, 0]]))
            self.second.weight.copy_(torch.diag(torch.tensor([1.0, 2, 3, 5])))
            self.last.weight.fill_(1)

    def forward(self, values):
        return self.last(self.second(self.first(values)))


IMAGES = torch.tensor([[1.0, 0], [0, 1]])


def output(model):
    with torch.no_grad():
        return float(model(IMAGES)[0])


def test_one_group_at_a_time_loses_its_lowest_units():
    model = Chain()
    seen = []
    found = prunet.sensitivity(model, IMAGES, lambda pruned: seen.append(pruned) or output(pruned))
    assert found.shares == SHARES
    assert found.whole == 4 * 1 + 3 * 2 + 2 * 3 + 1 * 5 == output(model)
    assert found.scores == {"first.weight": [16, 10, 4], "second.weight": [17, 11, 5]}
    assert len(seen) == 7
    assert not any(pruned is model for pruned in seen)


def test_a_criterion_that_scores_no_unit_of_a_group_leaves_it_out():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(16, 4), nn.Linear(4, 2))
    found = prunet.sensitivity(
        model, torch.zeros(2, 1, 4, 4), lambda _: 1.0, criterion="filter-l2", shares=[0.5]
    )
    assert found == Sensitivity((0.5,), 1.0, {"0.weight": [1.0]})


def test_a_target_is_spread_by_sensitivity():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 40), nn.Linear(40, 40), nn.Linear(40, 2))
    curves = Sensitivity(SHARES, 1.0, {"0.weight": [1.0, 1.0, 1.0], "1.weight": [0.9, 0.5, 0.3]})
    options = {"criterion": "unit-l2", "target": {"macs": 0.5}}
    masks = prunet.prune(model, torch.zeros(2, 8), sensitivity=curves, **options)
    left = [int(masks[name].any(1).sum()) for name in ("0.weight", "1.weight")]
    assert left == [19, 40]  # 8 x 19 + 19 x 40 + 40 x 2 = 992 of 2000
    smaller = prunet.shrink(model, torch.zeros(2, 8), masks)
    assert [len(layer.weight) for layer in smaller] == [19, 40, 2]
    with pytest.raises(InputError, match=r"and 0\.1 is left when every layer has lost all that it may"):
        prunet.prune(model, torch.zeros(2, 8), sensitivity=curves, **options | {"target": {"macs": 0.05}})
    for options in ({"criterion": "unit-l2"}, {"target": {"parameters": 0.5}}):
        with pytest.raises(InputError, match="give a target and a criterion of units"):
            prunet.prune(model, torch.zeros(2, 8), sensitivity=curves, **options)
