"""Rules of `einsum` and `glu`: equal networks, and the units that go."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units
from prunet.structure.proof import difference, random_inputs
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model


def weighted(equation):
    def forward(model, tokens):
        first = equation.startswith("oi")
        pair = (model.first.weight, tokens) if first else (tokens, model.first.weight)
        hidden = torch.einsum(equation, *pair).relu()
        return model.output(hidden.transpose(1, 2) if first else hidden)

    return Model(forward, first=nn.Linear(4, 6, bias=False), output=nn.Linear(6, 3))


def attending(model, tokens):
    query, key, value = (part.unflatten(-1, (3, 4)) for part in model.parts(tokens).chunk(3, -1))
    scores = torch.einsum("nihd,njhd->nhij", query, key).softmax(-1)
    return model.output(torch.einsum("nhij,njhd->nihd", scores, value).flatten(2))


def gated(model, tokens):
    return model.output(functional.glu(model.inside(tokens), -1))


def gated_maps(model, tokens):
    return model.output(functional.glu(model.inside(tokens.transpose(1, 2)), 1).transpose(1, 2))


NETWORKS = {
    "weight last": (lambda: weighted("nti,oi->nto"), [6]),
    "weight first": (lambda: weighted("oi,nti->not"), [6]),
    "attention": (lambda: Model(attending, parts=nn.Linear(4, 36), output=nn.Linear(12, 3)), [3]),
    "gated units": (lambda: Model(gated, inside=nn.Linear(4, 10), output=nn.Linear(5, 3)), [5]),
    "gated maps": (lambda: Model(gated_maps, inside=nn.Conv1d(4, 8, 1), output=nn.Linear(4, 3)), [4]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_units_go_and_the_outputs_stay(name):
    torch.manual_seed(0)
    build, expected = NETWORKS[name]
    model, tokens = build().eval(), torch.randn(2, 5, 4)
    units = find_units(model, tokens)
    assert [group.units for group in units.groups] == expected
    gone = [np.arange(group.units) == 1 for group in units.groups]
    masked, smaller = cut(units, gone)
    inputs = random_inputs([tokens], 3)
    assert difference(masked, smaller, inputs) < 1e-12
    assert difference(model, masked, inputs) > 1e-3
    assert count(units, gone)["parameters"] == sum(value.numel() for value in smaller.parameters())


def test_products_of_einsum_are_counted():
    units = find_units(weighted("nti,oi->nto").eval(), torch.randn(2, 5, 4))
    none = [np.zeros(group.units, bool) for group in units.groups]
    assert count(units, none)["macs"] == 5 * (4 * 6 + 6 * 3)
    units = find_units(NETWORKS["attention"][0]().eval(), torch.randn(2, 5, 4))
    none = [np.zeros(group.units, bool) for group in units.groups]
    assert count(units, none)["macs"] == 5 * (4 * 36 + 12 * 3) + 2 * 3 * 5 * 5 * 4


def test_an_equation_that_is_not_read_keeps_its_units():
    def forward(model, tokens):
        hidden = model.first(tokens)
        return model.second(hidden) + torch.einsum("...i,...i->...", hidden, hidden).unsqueeze(-1)

    model = Model(forward, first=nn.Linear(4, 6), second=nn.Linear(6, 3)).eval()
    units = find_units(model, torch.randn(2, 5, 4))
    assert (units.groups, units.reasons) == ([], {"einsum has no rule": 1})
