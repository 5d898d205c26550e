"""Moves of units and positions: networks without any one unit, or half of them, compute the same."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from prunet.structure.cutting import cut
from prunet.structure.finding import find_units
from prunet.structure.proof import difference
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model

TOKENS = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
MAPS = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(1))


def rolled(model, tokens):
    return model.output(model.first(tokens).roll((1, 2), (1, 2)).relu())


def sliced(model, tokens):
    hidden = model.first(tokens)
    return model.output(torch.cat([hidden[..., 2:], hidden[..., :2]], -1))


def shuffled(model, maps):
    return model.output(functional.channel_shuffle(model.first(maps), 2))


def halved(model, maps):
    first, second = torch.hsplit(model.first(maps), 2)
    return model.output(torch.cat([second.sigmoid(), first], 1))


def positions(model, maps):
    both = torch.cat([model.first(maps).flatten(2), model.second(maps).flatten(2)], 2)
    return model.output(both.relu().unsqueeze(-1))


def swapped(model, tokens):
    """Swap the two elements of each pair, which belong together as they are added to their places."""
    hidden = model.first(tokens)
    pairs = torch.stack([-hidden[..., 1::2], hidden[..., ::2]], -1)
    return model.output(hidden + pairs.flatten(-2))


def last_word(model, tokens):
    hidden = model.first(tokens).tanh()
    return model.output(hidden[torch.arange(len(tokens)), tokens[..., 0].argmax(-1)])


def picked(model, tokens):
    return model.output(model.first(tokens) + model.table.weight[(tokens[..., 0] > 0).long()])


def scaled(model, tokens):
    hidden = model.first(tokens)
    return model.output(hidden * model.table.weight[0].expand_as(hidden))


def without_batch(model, maps):
    return model.output(model.deep(model.first(maps[0]).relu()))[None]


def words(forward) -> tuple[nn.Module, Tensor]:
    return Model(forward, first=nn.Linear(3, 4), output=nn.Linear(4, 2), table=nn.Embedding(2, 4)), TOKENS


def images(forward, **layers) -> tuple[nn.Module, Tensor]:
    layers = {"first": nn.Conv2d(3, 4, 1), "output": nn.Conv2d(4, 2, 1)} | layers
    return Model(forward, **layers), MAPS


# A network, and the numbers of units of its groups.
NETWORKS = {
    "roll": (lambda: words(rolled), [4]),
    "slices": (lambda: words(sliced), [4]),
    "channel shuffle": (lambda: images(shuffled), [2]),
    "hsplit": (lambda: images(halved), [4]),
    "positions of two layers": (lambda: images(positions, second=nn.Conv2d(3, 4, 1)), [4]),
    "pairs": (lambda: words(swapped), [2]),
    "a position that the input chooses": (lambda: words(last_word), [4]),
    "a row that the input chooses": (lambda: words(picked), [4]),
    "a constant that is expanded": (lambda: words(scaled), [4]),
    "maps without a batch": (lambda: images(without_batch, deep=nn.Conv2d(4, 4, 1, groups=4)), [4]),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_any_unit_goes_and_the_outputs_stay(name):
    torch.manual_seed(0)
    build, expected = NETWORKS[name]
    model, example = build()
    units = find_units(model, example)
    assert [group.units for group in units.groups] == expected
    whole = [np.zeros(count, bool) for count in expected]
    for number, count in enumerate(expected):
        for unit in range(count):
            gone = [*whole]
            gone[number] = np.arange(count) == unit
            masked, smaller = cut(units, gone)
            assert difference(masked, smaller, [example]) < 1e-12
            assert difference(model, masked, [example]) > 1e-3
            assert sum(map(torch.numel, smaller.parameters())) < sum(map(torch.numel, masked.parameters()))


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.AvgPool2d(3, padding=1, stride=2),
        nn.AdaptiveAvgPool2d(3),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    ],
)
def test_a_part_of_the_maps_may_go_as_a_whole_before_a_pool(pool):
    def forward(model, maps):
        first, second = model.first(maps).chunk(2, 1)
        return model.output(torch.cat([pool(first), pool(second).relu()], 1))

    torch.manual_seed(0)
    model, example = images(forward)
    units = find_units(model, example)
    for gone in ([0, 1], [2, 3]):
        masked, smaller = cut(units, [np.isin(range(4), gone)])
        assert difference(masked, smaller, [example]) < 1e-12
