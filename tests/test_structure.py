"""Laws of units that hold for each network: masked, smaller, and module with masks compute the same."""

import copy
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from bench.coverage.randomise import randomise
from bench.user_modules import cases
from prunet.structure.cutting import cut
from prunet.structure.finding import Units, find_units
from prunet.structure.masks import removed_units, unit_masks
from prunet.structure.proof import difference, random_inputs
from prunet.structure.shrinking import apply_masks

NAMES = (
    "residual with projection",
    "concatenation",
    "grouped convolution",
    "group norm",
    "gated linear unit",
    "attention with a bias of heads",
)
EXACT = 1e-10


@cache
def network(name: str) -> tuple[nn.Module, tuple[torch.Tensor, ...], Units]:
    """Return a network whose weights hide no error, other inputs than its example, and its units."""
    model, example = cases.build(name)
    randomise(model, example)
    return model, random_inputs(example, 3), find_units(model, example)


def removals(units: Units) -> list[np.ndarray]:
    """Return about half of the units of each group, and not all."""
    draw = np.random.default_rng(0)
    gone = [draw.random(group.units) < 0.5 for group in units.groups]
    for own in gone:
        own[0] = False
    return gone


@pytest.mark.parametrize("name", NAMES)
def test_masked_program_smaller_program_and_masked_module_compute_the_same(name):
    model, inputs, units = network(name)
    gone = removals(units)
    masked, smaller = cut(units, gone)
    assert difference(masked, smaller, inputs) < EXACT
    own = copy.deepcopy(model)
    apply_masks(own, unit_masks(units, gone))
    assert difference(masked, own, inputs) < EXACT
    assert difference(model, masked, inputs) > 1e-3
    counts = [sum(value.numel() for value in net.parameters()) for net in (masked, smaller)]
    assert counts[1] < counts[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_more_removed_unit_shows(name):
    _, inputs, units = network(name)
    gone = removals(units)
    masked, _ = cut(units, gone)
    number = next(number for number, own in enumerate(gone) if (~own).sum() > 1)
    more = [own.copy() for own in gone]
    more[number][np.flatnonzero(~gone[number])[-1]] = True
    assert difference(masked, cut(units, more)[1], inputs) > 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_masks_say_which_units_are_removed(name):
    _, _, units = network(name)
    gone = removals(units)
    for found, own in zip(removed_units(units, unit_masks(units, gone)), gone, strict=True):
        assert found.tolist() == own.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_layer_without_units_is_refused(name):
    _, _, units = network(name)
    with pytest.raises(ValueError, match="keep one of them"):
        cut(units, [np.ones(group.units, bool) for group in units.groups])


def test_finding_units_changes_nothing_in_the_model():
    model, example = cases.build("residual with projection")
    model.train()
    next(model.children()).eval()
    modes = [module.training for module in model.modules()]
    before = {key: value.clone() for key, value in model.state_dict().items()}
    units = find_units(model, example)
    cut(units, removals(units))
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_networks_on_a_cuda_device_are_cut_there(name):
    model, example = cases.build(name)
    units = find_units(model.cuda(), tuple(value.cuda() for value in example))
    inputs = [value.cuda() for value in random_inputs(example, 3)]
    masked, smaller = cut(units, removals(units))
    assert {value.device.type for value in smaller.parameters()} == {"cuda"}
    assert difference(masked, smaller, inputs) < EXACT
