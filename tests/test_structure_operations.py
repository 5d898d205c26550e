"""Each operation with a rule passes its units on: what depends on a unit has its label, and nothing else."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import fx

from prunet.structure.cutting import cut
from prunet.structure.finding import Units
from prunet.structure.rules.table import ELEMENTWISE, RULES, SPATIAL
from prunet.structure.walk import tensors_of
from tests.toy_operations import CALLS, POOLS, REDUCTIONS, aten
from tests.toy_programs import program, structure, units_of

CHANNELS = 6
# Rules that compute units of their own, or take a constant that is not a scale: tested in other files.
LAYERS = (
    "linear addmm conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d "
    "embedding batch_norm instance_norm layer_norm rms_norm group_norm matmul bmm mm baddbmm "
    "scaled_dot_product_attention lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell "
    "zeros new_zeros"
)
EACH = set(ELEMENTWISE.split()) | POOLS.keys()  # each map of the result has the label of one
ONE_DIMENSION = ("softmax", "_softmax", "log_softmax", "prod", "cumsum", "max", "min")
IMAGES = torch.randn(8, 4, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_every_rule_is_tested_and_names_an_operation():
    assert set(CALLS) | set(REDUCTIONS) | set(LAYERS.split()) == set(RULES)
    assert set(POOLS) == set(SPATIAL.split())
    assert all(hasattr(aten, name) for name in RULES)


@pytest.mark.parametrize("name", CALLS)
def test_an_operation_passes_its_units_on(name):
    units = _check(_written(CALLS[name].apply))
    assert tuple(group.units for group in units.groups) == CALLS[name].groups
    if name in EACH:
        (found,) = structure(units)
        assert found["v:1"] == np.repeat(range(CHANNELS), len(found["v:1"]) // CHANNELS).tolist()


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_over_positions_keeps_maps_apart_and_one_over_maps_keeps_them_whole(name):
    dims = [2] if name in ONE_DIMENSION else [2, 3]
    units = _check(_written(lambda h, g, c, i: REDUCTIONS[name](h, dims)))
    assert [group.units for group in units.groups] == [CHANNELS]
    units = _check(_written(lambda h, g, c, i: REDUCTIONS[name](h, [1])))
    assert not units.groups
    assert [why.partition(" ")[2] for why in units.reasons] == ["reduces over it"]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_a_reduction_over_a_part_of_the_maps_joins_those_that_it_reads(name):
    for dims, labels in (([1], [0, 1, 2, 0, 1, 2]), ([2], [0, 0, 0, 1, 1, 1])):
        units = _check(
            _written(lambda h, g, c, i, dims=dims: REDUCTIONS[name](aten.unflatten.int(h, 1, [2, 3]), dims))
        )
        assert structure(units)[0]["w:0"] == labels


def _written(call: Callable[..., Any]) -> fx.GraphModule:
    """Return two layers, the call on their maps, and a linear layer that reads each element alone."""
    draw = torch.Generator().manual_seed(1)

    def weight(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw)

    def forward(x, w, b, u, d, c, i, v=None):
        maps = [
            aten.permute.default(aten.linear.default(x, filters, bias), [0, 3, 1, 2])
            for filters, bias in ((w, b), (u, d))
        ]
        read = aten.flatten.using_ints(aten.to.dtype(call(*maps, c, i), torch.float64), 1)
        return read if v is None else aten.linear.default(read, v)

    layers = {"w": weight(CHANNELS, 3), "b": weight(CHANNELS)}
    layers |= {"u": weight(CHANNELS, 3), "d": weight(CHANNELS), "c": weight(CHANNELS, 1, 1)}
    layers = {name: value.double() for name, value in layers.items()} | {"i": torch.tensor([0, 0, 3])}
    width = program(forward, [IMAGES], **layers)(IMAGES).shape[1]
    return program(forward, [IMAGES], **layers, v=weight(2, width).double())


@torch.no_grad()
def _check(written: fx.GraphModule) -> Units:
    """Check that what depends on a unit has its label, and that smaller programs compute the same."""
    units = units_of(written)
    numbers = units.walk.labels.resolve()
    found = {tensor.name: [numbers[own].numpy() for own in tensor.dims] for tensor in tensors_of(units.walk)}
    for filters, bias in (("w", "b"), ("u", "d")):
        if filters in found:
            for unit, elements in zip(found[filters][0], _depend(written, filters, bias), strict=True):
                assert set(found["v"][1][elements]) <= {unit}
    masked, smaller = cut(units, [np.arange(group.units) % 2 == 1 for group in units.groups])
    torch.testing.assert_close(smaller(IMAGES), masked(IMAGES), rtol=1e-10, atol=1e-10)
    return units


def _depend(written: fx.GraphModule, filters: str, bias: str) -> NDArray[np.bool_]:
    """Return whether each element that is read depends on each map of a layer (maps, elements)."""
    graph = copy.deepcopy(written.graph)
    (output,) = graph.find_nodes(op="output")
    output.args = (output.args[0].args[0],)
    read = fx.GraphModule(written, graph)
    whole, found = read(IMAGES), []
    for unit in range(CHANNELS):
        rows = [getattr(read, name)[unit] for name in (filters, bias)]
        for row in rows:
            row *= -4  # a power of two is undone exactly
        found.append((read(IMAGES) != whole).any(0).numpy())
        for row in rows:
            row /= -4
    assert torch.equal(read(IMAGES), whole)
    return np.array(found)
