"""Programs written down operation by operation, and the units that are found in them."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx, nn

from prunet.structure import finding
from prunet.structure.finding import Units, find_units

Structure = list[dict[str, list[int]]]


class _Shapes(fx.Interpreter):
    """Note the value of each operation, as `torch.export` does."""

    def run_node(self, node: fx.Node) -> Any:
        node.meta["val"] = super().run_node(node)
        return node.meta["val"]


def program(forward: Callable[..., Any], inputs: Sequence[Tensor], **weights: Tensor) -> fx.GraphModule:
    """Return the program of a function of inputs and weights, which calls operations of `torch.ops.aten`."""
    graph = fx.Graph()
    tracer = fx.proxy.GraphAppendingTracer(graph)
    given = [graph.placeholder(f"input{number}") for number in range(len(inputs))]
    named = {name: fx.Proxy(graph.get_attr(name), tracer) for name in weights}
    result = forward(*(fx.Proxy(node, tracer) for node in given), **named)
    graph.output(fx.node.map_aggregate(result, lambda value: value.node))
    graph.eliminate_dead_code()
    parameters = {
        name: nn.Parameter(value, requires_grad=value.is_floating_point()) for name, value in weights.items()
    }
    written = fx.GraphModule(parameters, graph)
    with torch.no_grad():
        _Shapes(written).run(*(value.clone() for value in inputs))
    return written


def units_of(written: fx.GraphModule) -> Units:
    """Find the units of a program that is written already."""
    export = finding.write_program
    finding.write_program = lambda program, _: program
    try:
        return find_units(written, ())
    finally:
        finding.write_program = export


def structure(units: Units) -> Structure:
    """List {"tensor:dimension": unit of each index} of each group."""
    return [
        {f"{part.tensor.name}:{part.dim}": part.units.tolist() for part in group.slices}
        for group in units.groups
    ]
