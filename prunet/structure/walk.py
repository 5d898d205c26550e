"""Walk over a program: the labels of every tensor in it."""

import operator
from typing import Any

import torch
from torch import Tensor, fx

from prunet.structure.labels import KEPT, Labels, along, compact, spread, varying
from prunet.structure.program import arguments, operation, size
from prunet.structure.rules.table import MOVING, RULES
from prunet.structure.tensors import Activation, Constant, constant, moved

MOVES = {*MOVING.split(), "view", "_unsafe_view"}


class Walk:
    """Labels of a program.

    Args:
        program: from `write_program`.
        attention: what a unit of attention is, one of `labels.ATTENTION`.

    Attributes:
        labels: all labels and which of them are equal.
        found: the tensors, numbers and lists that the nodes give.
        computed: nodes that depend on no input, and are replaced by their values.
        unknown: names of the operations that no rule covers.
    """

    def __init__(self, program: fx.GraphModule, attention: str = "heads") -> None:
        self.program = program
        self.labels = Labels(attention)
        self.found: dict[fx.Node, Any] = {}
        self.computed: set[fx.Node] = set()
        self.unknown: list[str] = []
        self._named: dict[tuple[Any, ...], Constant] = {}
        for node in program.graph.nodes:
            self.found[node] = self._follow(node)
        self.settle()

    def _follow(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return Activation(torch.full((1,) * node.meta["val"].ndim, KEPT).expand(size(node.meta["val"])))
        if node.op == "get_attr":
            return self._attribute(str(node.target))
        if node.op == "output":
            for value in parts([self.found[given] for given in node.all_input_nodes]):
                if isinstance(value, Activation):
                    self.labels.keep(value.labels)
            return None
        if node.op != "call_function":
            return None
        return self._call(node)

    def _attribute(self, name: str) -> Any:
        value: Any = self.program
        for part in name.split("."):
            value = getattr(value, part)
        if not isinstance(value, Tensor):
            return value
        # Shared weights are one tensor under several names.
        storage = value.untyped_storage()._cdata
        key = storage, value.storage_offset(), tuple(value.shape), value.stride()
        if key not in self._named:
            self._named[key] = constant(self.labels, value.detach(), name)
        return self._named[key]

    def _call(self, node: fx.Node) -> Any:
        given: Any = fx.node.map_arg((node.args, node.kwargs), lambda source: self.found[source])
        args, options = given
        flat = parts([self.found[given] for given in node.all_input_nodes])
        if not any(isinstance(value, Activation) for value in flat):
            if not _open(node):
                return self._compute(node, args, options)
            whole: Any = fx.node.map_aggregate(given, _as_activation)
            args, options = whole
        if node.target is operator.getitem:
            return args[0][args[1]]
        name = operation(node)
        if name == "sym_size":
            return args[0].labels.shape[args[1]]
        if isinstance(node.meta.get("val"), torch.SymInt):
            return node.target(*args)  # type: ignore[operator]
        rule = RULES.get(name)
        result = rule(self.labels, node, **arguments(node, args, options)) if rule else None
        return self._unknown(node, name, flat) if result is None else _shaped(node, result)

    def _compute(self, node: fx.Node, args: Any, options: Any) -> Any:
        """Apply an operation to constants and numbers alone."""
        self.computed.add(node)
        if node.target is operator.getitem:
            return args[0][args[1]]
        constants = [value for value in parts([args, list(options.values())]) if isinstance(value, Constant)]
        if operation(node) in MOVES and constants == [args[0]]:
            return moved(self.labels, args[0], lambda tensor: node.target(tensor, *args[1:], **options))  # type: ignore[operator]
        plain: Any = fx.node.map_aggregate(
            (args, options), lambda value: value.value if isinstance(value, Constant) else value
        )
        values, named = plain
        with torch.no_grad():
            result = node.target(*values, **named)  # type: ignore[operator]
        if isinstance(result, list | tuple):
            return [constant(self.labels, part) for part in result]
        return constant(self.labels, result) if isinstance(result, Tensor) else result

    def _unknown(self, node: fx.Node, name: str, flat: list[Any]) -> Any:
        """Keep all units that an operation without a rule takes."""
        self.unknown.append(name)
        for value in flat:
            if isinstance(value, Activation):
                self.labels.keep(value.labels, f"{name} has no rule")
            elif isinstance(value, Constant):
                for own in value.dims:
                    self.labels.keep(own)
        value = node.meta["val"]
        if isinstance(value, list | tuple):
            return [_kept(part) for part in value]
        return _kept(value)

    def settle(self) -> None:
        """Join labels until the units of every activation lie along one of its dimensions; then constants.

        Only then does a part of the units fill a tensor of fewer rows. The last dimension keeps its units: of
        groups of channels, the groups stay and lose the same channels each.
        """
        while True:
            units = self.labels.resolve()
            several = [
                (value, dims)
                for value in parts(list(self.found.values()))
                if isinstance(value, Activation) and len(dims := varying(units[compact(value.labels)])) > 1
            ]
            for value, dims in several:
                self.labels.tie(value.labels, dims[:-1])
            if several:
                continue
            if not self.labels.waiting:
                return
            for own, constant_dims in self.labels.waiting:
                self.labels.join_lines(own, varying(units[compact(own)]), constant_dims)
            self.labels.waiting = []


def _open(node: fx.Node) -> bool:
    """Return whether a node's value depends on the size of the batch, or on chance."""
    sizes = any(isinstance(given.meta.get("val"), torch.SymInt) for given in node.all_input_nodes)
    return sizes or torch.Tag.nondeterministic_seeded in getattr(node.target, "tags", ())


def _as_activation(value: Any) -> Any:
    """Return a constant, which is repeated for each input of the batch, as an activation."""
    if not isinstance(value, Constant):
        return value
    long = [dim for dim, own in enumerate(value.dims) if len(own) > 1]
    if len(long) != 1:
        return Activation(torch.full((1,) * value.value.ndim, KEPT).expand(value.value.shape))
    return Activation(along(value.dims[long[0]], long[0], value.value.ndim).expand(value.value.shape))


def _shaped(node: fx.Node, result: Any) -> Any:
    """Give the results of a rule the full shape of the node's values."""
    value = node.meta["val"]
    if isinstance(value, list | tuple):
        pairs = zip(result, value, strict=True)
        return [Activation(spread(own.labels.expand(size(part))), own.zero) for own, part in pairs]
    return Activation(spread(result.labels.expand(size(value))), result.zero)


def _kept(value: Any) -> Any:
    if isinstance(value, Tensor):
        return Activation(torch.full((1,) * value.ndim, KEPT).expand(size(value)))
    return value


def parts(values: Any) -> list[Any]:
    """Flatten lists and tuples; activations are not tuples here."""
    if isinstance(values, list | tuple) and not isinstance(values, Activation):
        return [part for value in values for part in parts(value)]
    return [values]


def tensors_of(walk: Walk) -> list[Constant]:
    """List the parameters, buffers and computed tensors of a program, each once."""
    found = [value.base for value in parts(list(walk.found.values())) if isinstance(value, Constant)]
    return list(dict.fromkeys(found))
