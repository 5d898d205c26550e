"""Proof that the smaller network computes the outputs of the masked one, and where it would not."""

import numpy as np
import pytest
import torch
from torch import nn

from prunet.structure import shrinking
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units
from prunet.structure.masks import unit_masks
from prunet.structure.proof import difference, first_difference
from tests import toys  # noqa: F401 (one thread)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3), nn.BatchNorm2d(4), nn.Flatten()]
    model = nn.Sequential(*layers, nn.Linear(64, 3)).eval()
    images = torch.randn(2, 1, 8, 8)
    units = find_units(model, images)
    gone = [np.arange(group.units) % 2 == 1 for group in units.groups]
    return model, images, units, gone


def test_equal_programs_differ_nowhere(network):
    _, images, units, gone = network
    masked, smaller = cut(units, gone)
    assert difference(masked, smaller, [images]) < 1e-12
    assert first_difference(units, gone, masked, smaller, [images]) == "no operation"


@pytest.mark.parametrize(
    ("tensor", "operation"), [("0.bias", "conv2d"), ("3.running_mean", "batch_norm"), ("5.weight", "linear")]
)
def test_the_first_operation_that_differs_is_named(network, tensor, operation):
    _, images, units, gone = network
    masked, smaller = cut(units, gone)
    with torch.no_grad():
        smaller.state_dict()[tensor].add_(0.1)
    assert difference(masked, smaller, [images]) > 1e-3
    assert first_difference(units, gone, masked, smaller, [images]) == operation


def test_a_smaller_network_with_other_outputs_is_not_delivered(network, monkeypatch):
    model, images, units, gone = network

    def wrong(units, gone):
        masked, smaller = cut(units, gone)
        smaller.get_parameter("2.weight").data.mul_(2)
        return masked, smaller

    monkeypatch.setattr(shrinking, "cut", wrong)
    monkeypatch.setattr(shrinking, "slice_model", lambda model, *_: nn.Flatten())
    with pytest.raises(
        RuntimeError, match=r"differ by .* of the largest, first at conv2d_1: an error of prunet"
    ):
        shrinking.shrink(model, images, unit_masks(units, gone))
