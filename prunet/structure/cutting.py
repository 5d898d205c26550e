"""Masked and smaller programs of a network whose units are removed."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from prunet.structure.finding import Units
from prunet.structure.resizing import cut as cut_tensor
from prunet.structure.resizing import misplaced, resize
from prunet.structure.tensors import Activation, Constant
from prunet.structure.walk import Walk, parts, tensors_of


def cut(units: Units, gone: list[NDArray[np.bool_]]) -> tuple[fx.GraphModule, fx.GraphModule]:
    """Return the masked and the smaller program of a network, both in evaluation mode.

    In the masked program, all weights that compute or read a removed unit are zero. The smaller one lacks
    them and computes the same outputs.

    Args:
        units: from `find_units`.
        gone: (units,) bool for each group: the units to remove. Each layer keeps at least one.

    Raises:
        ValueError: nothing would be left of a layer.
    """
    alive = units.alive(gone)
    for tensor in tensors_of(units.walk):
        if any(len(labels) and not alive[labels].any() for labels in tensor.dims):
            raise ValueError(f"all units of {tensor.name} would be removed; keep one of them.")
    wrong = misplaced(units.walk, alive)
    assert not wrong, f"{wrong[0][0].name} would move other units"
    return _write(units.walk, alive, smaller=False), _write(units.walk, alive, smaller=True)


def _write(walk: Walk, alive: Tensor, *, smaller: bool) -> fx.GraphModule:
    """Write the program with its constants masked or cut."""
    graph = copy.deepcopy(walk.program.graph)
    originals = {node.name: node for node in graph.nodes}
    copies = dict(originals)  # and what replaces them
    trained = dict(walk.program.named_parameters())
    attributes: dict[str, Any] = {}
    for node, value in walk.found.items():
        twin = copies[node.name]
        if isinstance(value, Constant):
            if all(user in walk.computed for user in node.users):
                continue
            name = str(node.target) if node.op == "get_attr" else f"computed_{len(attributes)}"
            tensor = _constant(value, alive, smaller=smaller)
            if node.op == "get_attr" and name in trained:
                tensor = nn.Parameter(tensor, trained[name].requires_grad)
            attributes[name] = tensor
            if node.op != "get_attr":
                with graph.inserting_before(twin):
                    copies[node.name] = graph.get_attr(name)
                twin.replace_all_uses_with(copies[node.name])
        elif node.op == "get_attr":
            attributes[str(node.target)] = value
        elif smaller and node.op == "call_function" and _on_activations(walk, node):
            twin.target, args, options = resize(walk, node, alive)
            twin.args, twin.kwargs = fx.node.map_arg((tuple(args), options), lambda given: copies[given.name])
    for node in reversed(walk.program.graph.nodes):
        unused = node in walk.computed or node.op == "get_attr"
        if unused and not originals[node.name].users:
            graph.erase_node(originals[node.name])
    return fx.GraphModule(attributes, graph).eval()


def _on_activations(walk: Walk, node: fx.Node) -> bool:
    values = parts([walk.found[given] for given in (node, *node.all_input_nodes)])
    return hasattr(node.target, "_schema") and any(isinstance(value, Activation) for value in values)


def _constant(value: Constant, alive: Tensor, *, smaller: bool) -> Tensor:
    lines = [alive[labels] for labels in value.dims]
    if smaller:
        return cut_tensor(value.value, lines).clone()
    tensor = value.value.clone()
    if value.base.masked:
        for dim, line in enumerate(lines):
            if not line.all():
                tensor = tensor.index_fill(dim, (~line).nonzero().flatten().to(tensor.device), 0)
    return tensor
