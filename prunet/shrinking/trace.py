"""Trace of a network: the list of its operations and their effects on features.

A feature is one index of dimension 1: a map of (N, n, H, W) or a unit of (N, n).
"""

import operator
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.models.light_cnn import MaxFeatureMap
from prunet.models.resnets import Shortcut

Effect = Literal["images", "layer", "norm", "keep", "apply", "pairs", "sum", "move"]

# The effect of an operation on features, by type of module, function, or name of a tensor method.
EFFECTS: dict[Any, Effect] = {
    # Computes new features, each a weighted sum of all inputs.
    nn.Linear: "layer",
    nn.Conv2d: "layer",
    # Scales and shifts each feature.
    nn.BatchNorm1d: "norm",
    nn.BatchNorm2d: "norm",
    # Keeps all features, and the value of a constant one.
    nn.MaxPool2d: "keep",  # padding is never the maximum
    nn.AdaptiveAvgPool2d: "keep",
    nn.Dropout: "keep",
    functional.dropout: "keep",
    # Works on each feature separately, on single positions or all positions together.
    nn.ReLU: "apply",
    functional.relu: "apply",
    nn.Flatten: "apply",
    torch.flatten: "apply",
    "flatten": "apply",
    "mean": "apply",
    # Returns the maximum of features i and i + n.
    MaxFeatureMap: "pairs",
    # Adds feature i of two branches.
    operator.add: "sum",
    operator.iadd: "sum",
    # Moves some of the features to other indices, between zeros.
    Shortcut: "move",
    functional.pad: "move",
    operator.getitem: "move",
}
CUT = ("layer", "norm", "move")  # effects of modules that shrinking changes, so each must be used once
DIMENSIONS = {nn.Linear: 2, nn.Conv2d: 4}  # of a layer's input


class Step(NamedTuple):
    """One operation of the network.

    Attributes:
        name: of its module, or of its node in the traced graph.
        kind: a key of `EFFECTS`; None for the images.
        operation: the module, or a function from (N, ...) features to features.
        inputs: numbers of the steps whose features it takes.
    """

    name: str
    kind: Any
    operation: Any
    inputs: list[int]

    @property
    def effect(self) -> Effect:
        """Effect of the operation on features."""
        return "images" if self.kind is None else EFFECTS[self.kind]


def trace(model: nn.Module) -> list[Step]:
    """Return the steps of a model; the first one gives the images, the last one the outputs.

    Raises:
        InputError: the model has an operation that is not in `EFFECTS`, branches on the values of its images,
            uses a layer twice or not at all, or returns more than one tensor.
    """
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise unsupported(f"a model whose operations depend on its images ({error})") from None
    *nodes, output = graph.nodes
    for node in nodes:
        if not node.users:
            raise unsupported(f"a model that leaves features unused (of {node.name})")
    if output.args != (nodes[-1],):
        raise unsupported("a model that returns more than one tensor")
    numbers = {node: number for number, node in enumerate(nodes)}
    steps = [_step(node, numbers, model) for node in nodes]
    cut = [step.name for step in steps if step.effect in CUT]
    if len(set(cut)) != len(cut):
        raise unsupported("a model that uses a layer twice")
    return steps


class UnsupportedError(InputError):
    """A network, or a part of one, whose features cannot be traced."""


def unsupported(what: str) -> UnsupportedError:
    """Return the error for a network, or a part of one, whose features cannot be traced."""
    return UnsupportedError(
        f"cannot remove units of {what}; keep all units, or extend prunet.shrinking.trace."
    )


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in EFFECTS or super().is_leaf_module(module, name)


def _step(node: fx.Node, numbers: dict[fx.Node, int], model: nn.Module) -> Step:
    if node.op == "placeholder":
        return Step(node.name, None, None, [])
    name = str(node.target)
    module = model.get_submodule(name) if node.op == "call_module" else None
    where = node.name if module is None else name
    kind: Any = node.target if module is None else type(module)
    if kind not in EFFECTS:
        raise unsupported(f"{getattr(kind, '__name__', kind)} (at {where})")
    takes = node.args[: 2 if EFFECTS[kind] == "sum" else 1]
    features = [part for part in takes if isinstance(part, fx.Node)]
    if len(features) < len(takes) or set(node.all_input_nodes) != set(features):
        raise unsupported(f"{getattr(kind, '__name__', kind)} of an input that is not features (at {where})")
    inputs = [numbers[part] for part in features]
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        raise unsupported(f"a grouped convolution (at {where})")
    if module is not None:
        return Step(where, kind, module, inputs)
    function: Callable[..., Tensor] = getattr(Tensor, name) if node.op == "call_method" else kind
    rest, options = node.args[len(takes) :], node.kwargs
    return Step(where, kind, lambda *values: function(*values, *rest, **options), inputs)
