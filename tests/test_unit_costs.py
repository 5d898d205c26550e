"""Costs of the smaller network, counted without building it, beside those of the one that is built."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from bench.user_modules.cases import CASES
from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units

KINDS = [
    *("flatten by view", "transposed convolution", "convolution in one dimension", "depthwise convolution"),
    *("grouped convolution", "residual with projection", "concatenation", "squeeze-and-excitation"),
    *("query, key and value in one layer", "mixer", "GRU"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_costs_are_those_of_the_network_that_is_written(kind):
    images = torch.zeros(2, *CASES[kind].shapes[0])
    units = find_units(CASES[kind].build(), images)
    gone = [np.arange(group.units) % 2 == 1 for group in units.groups]
    _, smaller = cut(units, gone)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        smaller(images)
    tensors = [*smaller.parameters(), *smaller.buffers()]
    assert count(units, gone) == {
        "parameters": sum(tensor.numel() for tensor in smaller.parameters()),
        "macs": counter.get_total_flops() // 4,  # two images, and two FLOPs for each
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in tensors),
    }


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.together, self.output = nn.Linear(6, 3 * 8, bias=False), nn.Linear(8, 5, bias=False)

    def forward(self, words):
        heads = [part.unflatten(-1, (2, 4)).transpose(1, 2) for part in self.together(words).chunk(3, -1)]
        found = functional.scaled_dot_product_attention(*heads)
        return self.output(found.transpose(1, 2).flatten(2))


def test_attention_multiplies_queries_by_keys_and_weights_by_values():
    units = find_units(Attention(), torch.zeros(2, 7, 6))  # 7 words, 2 heads of 4
    whole = 7 * 6 * 24 + 2 * 2 * 7 * 7 * 4 + 7 * 8 * 5
    assert count(units, [np.zeros(2, bool)])["macs"] == whole
    assert count(units, [np.array([True, False])])["macs"] == 7 * 6 * 12 + 2 * 7 * 7 * 4 + 7 * 4 * 5


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.cell, self.last = nn.Linear(3, 4), nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 2)

    def forward(self, words):
        return self.last(self.cell(self.first(words))[0])


def test_an_lstm_multiplies_four_gates_at_each_step():
    units = find_units(nn.Sequential(Recurrent(), nn.Linear(2, 3)), torch.zeros(2, 7, 3))
    gone = [np.zeros(group.units, bool) for group in units.groups]
    assert count(units, gone)["macs"] == 7 * (3 * 4 + 4 * 5 * (4 + 5) + 5 * 2 + 2 * 3)


def test_weights_used_twice_and_computed_weights_count_once():
    shared = nn.Linear(4, 4, bias=False)
    units = find_units(nn.Sequential(nn.Linear(3, 4), shared, shared, nn.Linear(4, 2)), torch.zeros(2, 3))
    gone = [np.zeros(group.units, bool) for group in units.groups]
    assert count(units, gone)["parameters"] == 3 * 4 + 4 + 4 * 4 + 4 * 2 + 2
    assert count(units, gone)["macs"] == 3 * 4 + 2 * 4 * 4 + 4 * 2

    normed = nn.utils.parametrizations.weight_norm(nn.Linear(3, 4, bias=False))
    units = find_units(nn.Sequential(normed, nn.Linear(4, 2, bias=False)), torch.zeros(2, 3))
    gone = [np.array([True, False, False, True])]
    assert count(units, gone) == {"parameters": 2 * 3 + 2 * 2, "macs": 2 * 3 + 2 * 2, "bytes": 4 * 10}
