"""Recurrent layers: units that go with all of their gates, initial states and costs."""

import copy

import numpy as np
import pytest
import torch
from torch import fx, nn

import prunet
from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import find_units
from prunet.structure.masks import unit_masks
from prunet.structure.proof import difference, random_inputs
from prunet.structure.shrinking import apply_masks
from prunet.structure.slicing import slice_model
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import Model
from tests.toy_programs import structure

WORDS = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(0))
KINDS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn_tanh": nn.RNN, "rnn_relu": nn.RNN}
CELLS = {
    "lstm_cell": nn.LSTMCell,
    "gru_cell": nn.GRUCell,
    "rnn_tanh_cell": nn.RNNCell,
    "rnn_relu_cell": nn.RNNCell,
}
GATES = {nn.LSTM: 4, nn.LSTMCell: 4, nn.GRU: 3, nn.GRUCell: 3, nn.RNN: 1, nn.RNNCell: 1}
HIDDEN = 4


def built(kinds, name, *sizes, **options):
    if "rnn" in name:
        options |= {"nonlinearity": name.split("_")[1]}
    return kinds[name](*sizes, **options)


def read_all(model, words):
    """Return linear functions of the outputs at each step and of every final state."""
    inputs = model.front(words).relu()
    steps, states = model.recur(inputs if model.recur.batch_first else inputs.transpose(0, 1))
    steps = steps if model.recur.batch_first else steps.transpose(0, 1)
    states = states if isinstance(states, tuple) else (states,)
    return [model.output(steps), *(model.states(state.transpose(0, 1).flatten(1)) for state in states)]


def layered(recur):
    directions = 1 + recur.bidirectional
    return Model(
        read_all,
        front=nn.Linear(3, 5),
        recur=recur,
        output=nn.Linear(directions * HIDDEN, 2),
        states=nn.Linear(directions * recur.num_layers * HIDDEN, 2),
    ).eval()


def stepped(model, words):
    state, inputs = None, model.front(words).relu()
    for step in range(words.shape[1]):
        state = model.recur(inputs[:, step], state)
    return model.output(state[0] + state[1] if isinstance(state, tuple) else state)


def checked(model, inputs=(WORDS,), reasons=()):
    """Remove every second unit; check both smaller forms, and return the units and those that are gone."""
    units = find_units(model, inputs)
    gone = [np.arange(group.units) % 2 == 1 for group in units.groups]
    program_masked, program = cut(units, gone)
    masked = copy.deepcopy(model)
    apply_masks(masked, unit_masks(units, gone))
    own, given = slice_model(model, units, units.alive(gone)), random_inputs(inputs, 3)
    assert difference(model, masked, given) > 1e-3
    for one, other in ((masked, program_masked), (masked, program), (masked, own)):
        assert difference(one, other, given) < 1e-12
    assert set(units.reasons) == set(reasons)
    parameters = sum(value.numel() for value in own.parameters())
    assert count(units, gone)["parameters"] == parameters
    return units, gone


@pytest.mark.parametrize(
    ("layers", "both", "first", "bias"),
    [(1, False, True, True), (1, True, True, False), (2, False, False, False), (2, True, False, True)],
    ids=["one", "both ways, no bias", "two, time first, no bias", "two, both ways, time first"],
)
@pytest.mark.parametrize("name", KINDS)
def test_a_unit_goes_with_its_gates_in_all_layers_and_directions(name, layers, both, first, bias):
    torch.manual_seed(0)
    options = {"num_layers": layers, "bidirectional": both, "bias": bias, "batch_first": first}
    units, _ = checked(layered(built(KINDS, name, 5, HIDDEN, **options)))
    assert [group.units for group in units.groups] == [5, HIDDEN]


@pytest.mark.parametrize("name", CELLS)
def test_a_unit_of_a_cell_goes_with_its_gates(name):
    torch.manual_seed(0)
    cell = built(CELLS, name, 5, HIDDEN)
    model = Model(stepped, front=nn.Linear(3, 5), recur=cell, output=nn.Linear(HIDDEN, 2)).eval()
    units, gone = checked(model)
    gates, (front, unit) = GATES[type(cell)], structure(units)
    rows = list(range(HIDDEN)) * gates
    assert front == {
        "front.weight:0": [*range(5)],
        "front.bias:0": [*range(5)],
        "recur.weight_ih:1": [*range(5)],
    }
    assert unit == {
        **dict.fromkeys(
            ("recur.weight_ih:0", "recur.weight_hh:0", "recur.bias_ih:0", "recur.bias_hh:0"), rows
        ),
        "recur.weight_hh:1": [*range(HIDDEN)],
        "output.weight:1": [*range(HIDDEN)],
    }
    assert count(units, gone)["macs"] == 6 * 3 * 3 + 6 * gates * 2 * (3 + 2) + 2 * 2


def test_parameters_and_multiply_adds_are_those_of_a_calculation_by_hand():
    torch.manual_seed(0)
    units, gone = checked(layered(nn.LSTM(5, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)))
    for inputs, hidden, removed in ((5, 4, [own & False for own in gone]), (3, 2, gone)):
        weights = 2 * 4 * hidden * ((inputs + hidden) + (2 * hidden + hidden))
        biases = 2 * 2 * 2 * 4 * hidden
        last = (2 * hidden) * 2, (4 * hidden) * 2  # of the steps, and of each of the two final states
        assert count(units, removed)["parameters"] == 4 * inputs + weights + biases + sum(last) + 2 + 2
        assert count(units, removed)["macs"] == 6 * (3 * inputs + weights + last[0]) + 2 * last[1]


def own_zeros(model, words):
    states = [torch.zeros(1, words.size(0), HIDDEN).to(words.device) for _ in range(2)]
    return model.output(model.recur(words, tuple(states))[0])


def new_zeros(model, words):
    state = words.new_zeros(len(words), HIDDEN)
    for step in range(3):
        state = model.recur(words[:, step], state)
    return model.output(state)


def from_layer(model, words):
    state = model.start(words.mean(1)).sigmoid().unsqueeze(0)
    return model.output(model.recur(words, state)[0])


def learned(model, words):
    state = model.start.weight.unsqueeze(0).expand(1, words.shape[0], -1)
    return model.output(model.recur(words, state)[0])


def from_encoder(model, words):
    return model.output(model.recur(words, model.start(words.flip(1))[1])[0])


def time_first(model, words):
    return model.output(model.recur(words)[0])


def gru(**options):
    return nn.GRU(3, HIDDEN, batch_first=True, **options)


STARTS = {  # with the form and the parameters of the smaller network: 6 are of the output layer
    "zeros of a fixed width": (
        own_zeros,
        {"recur": nn.LSTM(3, HIDDEN, batch_first=True)},
        fx.GraphModule,
        4 * 2 * (3 + 2 + 2) + 6,
    ),
    "zeros of a fixed width, in steps": (
        new_zeros,
        {"recur": nn.GRUCell(3, HIDDEN)},
        fx.GraphModule,
        3 * 2 * (3 + 2 + 2) + 6,
    ),
    "what a layer computes": (
        from_layer,
        {"recur": gru(), "start": nn.Linear(3, HIDDEN)},
        Model,
        3 * 2 * (3 + 2 + 2) + 2 * 4 + 6,
    ),
    "a parameter": (
        learned,
        {"recur": gru(), "start": nn.Embedding(1, HIDDEN)},
        Model,
        3 * 2 * (3 + 2 + 2) + 2 + 6,
    ),
    "the last state of an encoder": (
        from_encoder,
        {"recur": gru(), "start": gru()},
        Model,
        2 * 3 * 2 * (3 + 2 + 2) + 6,
    ),
    "zeros that do not depend on the inputs": (
        time_first,
        {"recur": nn.LSTM(3, HIDDEN, 2)},
        Model,
        4 * 2 * (3 + 2 + 2 + 2 + 2 + 2) + 6,
    ),
}


@pytest.mark.parametrize("start", STARTS)
def test_initial_states_lose_their_units_with_the_layer(start):
    torch.manual_seed(0)
    forward, layers, form, parameters = STARTS[start]
    model = Model(forward, **layers, output=nn.Linear(HIDDEN, 2)).eval()
    masks = prunet.prune(model, WORDS, criterion="unit-l2", rate=0.5)
    smaller = prunet.shrink(model, WORDS, masks)
    assert isinstance(smaller, form)
    assert sum(value.numel() for value in smaller.parameters()) == parameters


def test_a_product_over_units_needs_zeros_to_start_from():
    def from_zeros(model, words):
        steps, _ = model.recur(words)
        return model.output(steps @ steps.transpose(1, 2))

    def from_others(model, words):
        steps, _ = model.recur(words, model.start(words.mean(1)).sigmoid().unsqueeze(0))
        return model.output(steps @ steps.transpose(1, 2))

    torch.manual_seed(0)
    layers = {"recur": gru(), "output": nn.Linear(6, 2)}
    units, _ = checked(Model(from_zeros, **layers).eval())
    assert [group.units for group in units.groups] == [HIDDEN]
    assert not find_units(Model(from_others, **layers, start=nn.Linear(3, HIDDEN)), WORDS).groups


def test_units_that_start_from_an_input_stay():
    def follow(model, both):
        return model.output(model.recur(both[:, 1:], both[:, :1].transpose(0, 1).contiguous())[0])

    model = Model(follow, recur=nn.GRU(HIDDEN, HIDDEN, batch_first=True), output=nn.Linear(HIDDEN, 2))
    units = find_units(model, torch.randn(2, 6, HIDDEN))
    assert (units.groups, units.reasons) == ([], {"gru starts from a state that stays": 1})


def test_an_lstm_with_projections_stays():
    model = Model(time_first, recur=nn.LSTM(3, HIDDEN, proj_size=2), output=nn.Linear(2, 2))
    units = find_units(model.double(), WORDS.double())
    assert (units.groups, units.reasons) == ([], {"lstm has projections": 1})
    assert not units.walk.unknown


def test_zeros_of_tokens_go_with_the_units_that_they_meet_and_those_of_images_stay():
    def tokens(model, words):
        hidden = model.front(words)
        return model.output(torch.where(words[..., :1] > 0, hidden, words.new_zeros(hidden.shape)))

    def images(model, words):
        maps = words.unsqueeze(2)
        nothing = words.new_zeros(words.shape[0], 1, 1, 3)
        return model.output(torch.cat([model.front(maps), nothing], 1).flatten(1))

    layers = {"front": nn.Linear(3, 4), "output": nn.Linear(4, 2)}
    (units,) = structure(checked(Model(tokens, **layers).eval())[0])
    assert units["front.weight:0"] == units["output.weight:1"] == [0, 1, 2, 3]
    layers = {"front": nn.Conv2d(6, 2, 1), "output": nn.Linear(9, 2)}
    (units,) = structure(checked(Model(images, **layers).eval())[0])
    assert units["output.weight:1"] == [0, 0, 0, 1, 1, 1, -1, -1, -1]
