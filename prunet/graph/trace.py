"""What a network does, step by step, as far as its features are concerned.

A feature is one entry of dimension 1: a map of (N, n, H, W), a unit of (N, n).
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

# What an operation does to features. The type of a module, a function, or the name of a tensor's method.
EFFECTS: dict[Any, Effect] = {
    # New features, each a weighted sum.
    nn.Linear: "layer",
    nn.Conv2d: "layer",
    # Each is scaled and shifted.
    nn.BatchNorm1d: "norm",
    nn.BatchNorm2d: "norm",
    # Each stays, and one that is the same everywhere keeps its value.
    nn.MaxPool2d: "keep",  # its padding never is the maximum
    nn.AdaptiveAvgPool2d: "keep",
    nn.Dropout: "keep",
    functional.dropout: "keep",
    # Each by itself, at every position by itself or all positions together.
    nn.ReLU: "apply",
    functional.relu: "apply",
    nn.Flatten: "apply",
    torch.flatten: "apply",
    "flatten": "apply",
    "mean": "apply",
    # One of feature i and feature i + n.
    MaxFeatureMap: "pairs",
    # Feature i of two branches.
    operator.add: "sum",
    operator.iadd: "sum",
    # Some of them, in other places, between zeros.
    Shortcut: "move",
    functional.pad: "move",
    operator.getitem: "move",
}
MODULES_OF_THEIR_OWN = ("layer", "norm", "move")  # which are cut, so that each must be used once
DIMENSIONS = {nn.Linear: 2, nn.Conv2d: 4}  # of what a layer takes


class Step(NamedTuple):
    """One operation of the network.

    Attributes:
        name: of its module, or of its place in the network.
        kind: a key of `EFFECTS`; None of the images.
        operation: the module, or what maps (N, ...) features to features.
        inputs: numbers of the steps whose features it takes.
    """

    name: str
    kind: Any
    operation: Any
    inputs: list[int]

    @property
    def effect(self) -> Effect:
        """What it does to features."""
        return "images" if self.kind is None else EFFECTS[self.kind]


def trace(model: nn.Module) -> list[Step]:
    """List the steps from the images, the first, to the outputs, what the last one gives.

    Raises:
        InputError: the model does something that is not in `EFFECTS`, depends on its images' values, uses a
            layer twice or not at all, or returns more than one tensor.
    """
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise refusal(f"a model whose operations depend on its images ({error})") from None
    *nodes, output = graph.nodes
    for node in nodes:
        if not node.users:
            raise refusal(f"a model that leaves features unused (of {node.name})")
    if output.args != (nodes[-1],):
        raise refusal("a model that returns more than one tensor")
    numbers = {node: number for number, node in enumerate(nodes)}
    steps = [_step(node, numbers, model) for node in nodes]
    own = [step.name for step in steps if step.effect in MODULES_OF_THEIR_OWN]
    if len(set(own)) != len(own):
        raise refusal("a model that uses a layer twice")
    return steps


def refusal(what: str) -> InputError:
    """Return the error that says what the network's units cannot be followed through."""
    return InputError(f"Cannot remove units of {what}: keep them all, or extend prunet.graph.trace.")


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in EFFECTS or super().is_leaf_module(module, name)


def _step(node: fx.Node, numbers: dict[fx.Node, int], model: nn.Module) -> Step:
    if node.op == "placeholder":
        return Step(node.name, None, None, [])
    name = str(node.target)
    module = model.get_submodule(name) if node.op == "call_module" else None
    place = node.name if module is None else name
    kind: Any = node.target if module is None else type(module)
    if kind not in EFFECTS:
        raise refusal(f"{getattr(kind, '__name__', kind)} (at {place})")
    takes = node.args[: 2 if EFFECTS[kind] == "sum" else 1]
    features = [part for part in takes if isinstance(part, fx.Node)]
    if len(features) < len(takes) or set(node.all_input_nodes) != set(features):
        raise refusal(f"{getattr(kind, '__name__', kind)} of something that is not features (at {place})")
    inputs = [numbers[part] for part in features]
    if isinstance(module, nn.Conv2d) and module.groups != 1:
        raise refusal(f"a convolution in groups (at {place})")
    if module is not None:
        return Step(place, kind, module, inputs)
    function: Callable[..., Tensor] = getattr(Tensor, name) if node.op == "call_method" else kind
    rest, options = node.args[len(takes) :], node.kwargs
    return Step(place, kind, lambda *values: function(*values, *rest, **options), inputs)
