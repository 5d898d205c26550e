"""Recurrent layers and their cells: a hidden unit is one row of each gate.

Units are computed from the inputs by `weight_ih` (gates * hidden, in), and from their own last values by
`weight_hh` (gates * hidden, hidden). An LSTM has 4 gates, a GRU 3, a plain RNN 1. A unit whose rows and
biases are zero stays zero if it starts from zero.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, along
from prunet.structure.rules.contraction import layer
from prunet.structure.rules.elementwise import as_activation
from prunet.structure.tensors import Activation, Constant

LAYERS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
CELLS = ("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell")


def layers(labels: Labels, node: fx.Node, **given: Any) -> list[Activation] | None:
    """Compute the units of several layers in one or two directions.

    All of them have the same width, so unit i of every layer and direction is one unit. The outputs at each
    step are the units of the last layer, in both directions; the final states are those of all layers.
    """
    if not isinstance(given.get("input"), Activation) or not _constant(given["params"]):
        return None  # among them packed sequences
    params, directions = given["params"], 1 + given["bidirectional"]
    each = len(params) // (given["num_layers"] * directions)
    if each != 2 + 2 * given["has_biases"]:
        return _projected(labels, node, given["input"], params)
    units = params[1].dims[1]
    steps, states = given["input"], _states(labels, node, given["hx"], units)
    for first in range(0, len(params), each * directions):
        for start in range(first, first + each * directions, each):
            _gates(labels, steps, states[0], params[start : start + each])
        steps = Activation(along(units.repeat(directions), -1, 3), states[0].zero)
    return [steps, *states]


def cell(
    labels: Labels,
    node: fx.Node,
    input: Any,
    hx: Any,
    w_ih: Any,
    w_hh: Any,
    b_ih: Any = None,
    b_hh: Any = None,
) -> Activation | list[Activation] | None:
    """Compute the units of one step from its input and from the states before it."""
    tensors = [tensor for tensor in (w_ih, w_hh, b_ih, b_hh) if tensor is not None]
    if not (isinstance(input, Activation) and _constant(tensors)):
        return None
    states = _states(labels, node, hx, w_hh.dims[1])
    _gates(labels, input, states[0], tensors)
    return states if isinstance(node.meta["val"], list | tuple) else states[0]


def zeros(labels: Labels, node: fx.Node, **_: Any) -> Activation:
    """Give zeros labels of their own along the last dimension, so that they go with the units that they meet.

    Those of images stay, whose units lie along another dimension.
    """
    shape = tuple(node.meta["val"].shape)
    if len(shape) not in (2, 3):
        return Activation(torch.full((1,) * len(shape), KEPT))
    return Activation(along(labels.fresh(int(shape[-1])), -1, len(shape)), zero=True)


def _constant(tensors: Sequence[Any]) -> bool:
    return all(isinstance(tensor, Constant) for tensor in tensors)


def _gates(labels: Labels, steps: Activation, state: Activation, tensors: Sequence[Constant]) -> None:
    """Join the rows that compute a unit in all gates, and the columns of what they read.

    Args:
        labels: of the program.
        steps, state: inputs of `weight_ih` and `weight_hh`.
        tensors: these weights, then their biases if they have any.
    """
    for number, given in enumerate((steps, state)):
        bias = tensors[2 + number] if len(tensors) > 2 else None
        rows = layer(labels, given, -1, tensors[number], 0, 1, bias).labels
        labels.join(rows.view(-1, state.labels.numel()), state.labels.flatten())


def _states(labels: Labels, node: fx.Node, given: Any, units: Tensor) -> list[Activation]:
    """Join the units of the initial states, `h` and of an LSTM `c`, with those of the layer; return these.

    A state that another layer computes goes with its units. It need not be zero, as nothing but the unit
    itself reads it; then the unit's outputs are not zero either.
    """
    states = [given] if isinstance(given, Activation | Constant) else given
    for state in states:
        ndim = state.value.ndim if isinstance(state, Constant) else state.labels.ndim
        aligned = along(units, -1, ndim)
        own = as_activation(labels, state, aligned) if isinstance(state, Constant) else state
        first = labels.tie(own.labels, range(ndim - 1))
        if (first == KEPT).any():
            labels.keep(units, f"{node.name} starts from a state that stays")
        labels.join(first, aligned)
    zero = all(not state.value.any() if isinstance(state, Constant) else state.zero for state in states)
    return [Activation(aligned, zero) for _ in states]


def _projected(
    labels: Labels, node: fx.Node, given: Activation, params: Sequence[Constant]
) -> list[Activation]:
    """Keep the units of an LSTM with `proj_size`, which PyTorch knows by its two unequal widths."""
    labels.keep(given.labels)
    labels.keep(params[0].dims[0], f"{node.name} has projections")
    for own in (own for weight in params for own in weight.dims):
        labels.keep(own)
    return [Activation(torch.full((1, 1, 1), KEPT)) for _ in node.meta["val"]]
