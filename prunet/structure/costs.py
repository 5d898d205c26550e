"""Costs of the smaller network, counted on the labels of the program without building it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx

from prunet.structure.finding import Units
from prunet.structure.program import operation, size
from prunet.structure.resizing import survivors
from prunet.structure.rules import recurrent
from prunet.structure.tensors import Activation, Constant
from prunet.structure.walk import Walk

# Position of the first factor of a matrix product; each element of the result sums over its last dimension.
PRODUCTS = {"linear": 0, "matmul": 0, "mm": 0, "bmm": 0, "addmm": 1, "baddbmm": 1}
CONVOLUTIONS = ("conv1d", "conv2d", "conv3d")
TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")


def count(units: Units, gone: list[NDArray[np.bool_]]) -> dict[str, int]:
    """Return the costs of a network without some of its units, for one input.

    Args:
        units: from `find_units`.
        gone: (units,) bool for each group, True for the units to remove.

    Returns:
        `parameters`: elements of parameters that the program uses, or of what is computed from them alone.
        `bytes`: of these and of buffers.
        `macs`: multiply-accumulates of linear, convolutional and recurrent layers, matrix products and
        attention, including positions where a filter meets padding. FLOPs are twice as many.
    """
    alive = units.alive(gone)
    parameters = bytes_ = 0
    for constant, trained in _used(units.walk).items():
        elements = math.prod(_sizes(constant, alive))
        parameters += elements * trained
        bytes_ += elements * constant.value.element_size()
    batch = next(size(node.meta["val"])[0] for node in units.walk.found if node.op == "placeholder")
    macs = sum(_macs(units.walk, node, alive) for node in units.walk.found if node.op == "call_function")
    return {"parameters": parameters, "macs": macs // batch, "bytes": bytes_}


def _used(walk: Walk) -> dict[Constant, bool]:
    """Return the constants that activations meet, and whether they are parameters or computed from them."""
    named = dict(walk.program.named_parameters(remove_duplicate=False))
    trained: set[fx.Node] = set()
    found: dict[Constant, bool] = {}
    for node, value in walk.found.items():
        from_trained = any(given in trained for given in node.all_input_nodes)
        if (node.op == "get_attr" and node.target in named) or (node in walk.computed and from_trained):
            trained.add(node)
        if isinstance(value, Constant) and any(user not in walk.computed for user in node.users):
            found[value.base] = found.get(value.base, False) or node in trained
    return found


def _macs(walk: Walk, node: fx.Node, alive: Tensor) -> int:
    """Return the multiply-accumulates of an operation on the whole batch."""
    name, given = operation(node), node.args

    def sizes(position: int) -> list[int]:
        return _sizes(walk.found[given[position]], alive)  # type: ignore[index]

    if node in walk.computed:
        return 0
    if name in (*recurrent.LAYERS, *recurrent.CELLS):
        weights: Any = given[2] if name in recurrent.LAYERS else given[2:4]
        shapes = [_sizes(walk.found[weight], alive) for weight in weights]
        matrices = [math.prod(shape) for shape in shapes if len(shape) == 2]
        return math.prod(sizes(0)[:-1]) * sum(matrices)
    if name == "einsum":
        equation, tensors = given[0].replace(" ", ""), given[1]  # type: ignore[union-attr]
        shapes = [_sizes(walk.found[tensor], alive) for tensor in tensors]  # type: ignore[union-attr,index]
        named = "".join(equation.split("->")[0].split(","))
        if "." in named or len(tensors) < 2:  # type: ignore[arg-type]
            return 0
        return math.prod(
            dict(zip(named, [number for shape in shapes for number in shape], strict=True)).values()
        )
    if name in TRANSPOSED:
        return math.prod(sizes(0)) * math.prod(sizes(1)[1:])
    if name not in PRODUCTS and name not in CONVOLUTIONS and name != "scaled_dot_product_attention":
        return 0
    elements = math.prod(_sizes(walk.found[node], alive))
    if name in PRODUCTS:
        return elements * sizes(PRODUCTS[name])[-1]
    if name in CONVOLUTIONS:
        return elements * math.prod(sizes(1)[1:])
    length = sizes(1)[-2]  # of the key
    return (math.prod(sizes(0)) + elements) * length


def _sizes(value: Activation | Constant, alive: Tensor) -> list[int]:
    """Return the shape of a tensor in the smaller network."""
    if isinstance(value, Constant):
        return [int(alive[labels].sum()) for labels in value.dims]
    return [int(line.sum()) for line in survivors(value.labels, alive)]
