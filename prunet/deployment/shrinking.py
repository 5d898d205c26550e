"""A pruned network without what pruning left idle: a smaller, ordinary one with the same outputs.

A feature is one entry of dimension 1: a map of (N, n, H, W), a unit of (N, n). Two passes over the network
find what can go. Forwards: a feature that no varying feature reaches through surviving weights is a constant,
made of biases. Backwards: a feature is needed if a surviving weight of a needed feature reads it. What the
second pass removes makes nothing constant that is still needed, so these two reach the fixed point.

Both passes note one value for each map. Flattening leaves the notes as they are, and the fully connected
layer behind it spreads them over the maps' positions; an image is noted as one map, of all channels.
"""

import copy
from collections import OrderedDict
from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.networks.models import MaxFeatureMap

# What becomes of a feature. One is kept idle where all could go, because runtimes take no empty tensors.
GONE, IDLE, NEEDED = range(3)

Operation = Callable[[Tensor], Tensor]


class Step(NamedTuple):
    """One operation of the network."""

    name: str
    kind: Any  # the type of a module, a function, or the name of a tensor's method
    operation: Any  # what maps (N, ...) features to features; of a kind in `LAYERS` the module


class Rule(NamedTuple):
    """How notes pass an operation that has no weights."""

    # From the operation and the constants before it to those after it: (1, n) or (1, n, 1, 1), as one image
    # of one position, NaN where a feature varies.
    constants: Callable[[Operation, Tensor], Tensor]
    # From what becomes of the features after it (n,) to what becomes of those before it.
    fate: Callable[[Tensor], Tensor]


class Folded(NamedTuple):
    """A layer that has its constant inputs in itself."""

    weight: Tensor  # (out, in, ...) float64, zero where pruned or folded
    bias: Tensor  # (out,) float64
    reads: Tensor  # (out, in) bool: which features depend on which features before the layer


class Select(nn.Module):
    """Pass on some of the features of (N, n, ...), in their order."""

    indices: Tensor

    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self.register_buffer("indices", indices)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, n, ...) to (N, k, ...)."""
        return features.index_select(1, self.indices)


@torch.no_grad()
def shrink(model: nn.Module, masks: dict[str, NDArray[np.bool_]]) -> nn.Module:
    """Return a smaller model that maps images of the same shape to the same outputs, up to rounding.

    Units, filters, maps and pixels are gone that no surviving weight reaches or that reach nothing. What an
    unreached unit gave, a constant, is in the biases behind it. In front of a convolution with padding, where
    a bias is not the same at the border, one map stays and stands for all that are constant and not zero. A
    constant half of a max-feature-map stays beside a varying one. Outputs all stay.

    The smaller model has the same modules with smaller tensors. Where a layer takes only some of what is
    there, such as some pixels, a sequence of `select` and `layer` stands in its place. Pruned weights that
    are left in its tensors are exactly zero, so that `weight != 0` serves as the masks of a sparse execution.

    Args:
        model: with its weights; pruned ones count as zero. It is not changed, and the smaller one is in
            evaluation mode.
        masks: (*shape) by weight, True where it survives. A layer without a mask is dense.

    Raises:
        InputError: the model does something that is not in `LAYERS` or `RULES`, or is not a chain of such
            steps, or the masks are of another model.
    """
    smaller = copy.deepcopy(model).eval()
    steps = _steps(smaller)
    _check(steps, masks)

    notes = torch.full((1, 1, 1, 1), torch.nan, dtype=torch.float64)
    known, folded = [notes], {}
    for step in steps:
        if step.kind in LAYERS:
            folded[step.name] = _fold(step, masks.get(f"{step.name}.weight"), notes)
            notes = _outcome(folded[step.name], notes)
        else:
            notes = RULES[step.kind].constants(step.operation, notes)
        known.append(notes)

    fate = torch.full((notes.numel(),), NEEDED)
    for step, before in zip(reversed(steps), reversed(known[:-1]), strict=True):
        if step.kind in LAYERS:
            inputs = _inputs(folded[step.name], fate)
            kept = fate != GONE
            fate = inputs.view(before.numel(), -1).amax(1)
            present = _spread(fate, len(inputs)) != GONE
            smaller.set_submodule(step.name, _cut(step, folded[step.name], kept, inputs != GONE, present))
        else:
            fate = RULES[step.kind].fate(fate)
    return smaller


def _run(operation: Operation, constants: Tensor) -> Tensor:
    return operation(constants.clone())  # it may work in place


def _unchanged(operation: Operation, constants: Tensor) -> Tensor:
    return constants


def _maximum(operation: Operation, constants: Tensor) -> Tensor:
    first, second = constants.chunk(2, 1)
    return torch.maximum(first, second)  # varies where one of the two does


def _same(fate: Tensor) -> Tensor:
    return fate


def _both(fate: Tensor) -> Tensor:
    return torch.cat([fate, fate])


LAYERS = {nn.Linear: 2, nn.Conv2d: 4}  # the dimensions of what they take

# A normalisation is one more kind of rule, with parameters to cut. The sum of two branches needs notes for
# every node of the graph instead of every step of a chain, and branches that keep the same features.
RULES: dict[Any, Rule] = {
    nn.ReLU: Rule(_run, _same),
    nn.Flatten: Rule(_run, _same),
    "flatten": Rule(_run, _same),
    functional.dropout: Rule(_unchanged, _same),
    nn.MaxPool2d: Rule(_unchanged, _same),  # its padding never is the maximum
    MaxFeatureMap: Rule(_maximum, _both),
}


class _Tracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return type(module) in RULES or super().is_leaf_module(module, name)


def _steps(model: nn.Module) -> list[Step]:
    """List the operations from the images to the outputs."""
    try:
        graph = _Tracer().trace(model)
    except (fx.proxy.TraceError, RuntimeError, TypeError) as error:
        raise _refusal(f"a model whose operations depend on its images ({error})") from None
    nodes = list(graph.nodes)  # the images, operations, the output
    for before, node in pairwise(nodes):
        if node.all_input_nodes != [before]:
            raise _refusal(f"a model that is not a chain of operations (at {node.name})")
    if nodes[-1].args != (nodes[-2],):
        raise _refusal("a model that returns more than one tensor")
    return [_step(node, model) for node in nodes[1:-1]]


def _step(node: fx.Node, model: nn.Module) -> Step:
    name = str(node.target)
    if node.op == "call_module":
        module = model.get_submodule(name)
        step = Step(name, type(module), module)
    else:
        function: Any = getattr(Tensor, name) if node.op == "call_method" else node.target
        step = Step(
            node.name, node.target, lambda features: function(features, *node.args[1:], **node.kwargs)
        )
    if step.kind not in LAYERS and step.kind not in RULES:
        raise _refusal(f"{getattr(step.kind, '__name__', step.kind)} (at {step.name})")
    if step.kind is nn.Conv2d and step.operation.groups != 1:
        raise _refusal(f"a convolution in groups (at {step.name})")
    return step


def _check(steps: list[Step], masks: dict[str, NDArray[np.bool_]]) -> None:
    layers = [step for step in steps if step.kind in LAYERS]
    shapes = {f"{step.name}.weight": step.operation.weight.shape for step in layers}
    if len(shapes) != len(layers):
        raise _refusal("a model that uses a layer twice")
    for name, mask in masks.items():
        if shapes.get(name) != mask.shape:
            raise InputError(f"The mask of {name} {mask.shape} fits no layer: take the masks of this model.")


def _refusal(what: str) -> InputError:
    return InputError(f"Cannot make {what} smaller: keep it as it is, or extend prunet.deployment.shrinking.")


def _fold(step: Step, mask: NDArray[np.bool_] | None, constants: Tensor) -> Folded:
    """Move the layer's constant inputs into its bias, or into one of them where that is not exact."""
    module = step.operation
    if constants.ndim != LAYERS[step.kind]:
        raise _refusal(f"{step.kind.__name__} on features of {constants.ndim} dimensions (at {step.name})")
    weight = module.weight.cpu().double()
    survives = torch.ones_like(weight, dtype=torch.bool) if mask is None else torch.from_numpy(mask)
    weight = weight.where(survives, 0)
    reads = survives.reshape(*weight.shape[:2], -1).any(2)
    inputs = _spread(constants.flatten(), weight.shape[1])
    constant = ~inputs.isnan()
    values = inputs.where(constant, 0)
    bias = torch.zeros(len(weight), dtype=weight.dtype) if module.bias is None else module.bias.cpu().double()
    carrier = values.abs().argmax()
    if step.kind is nn.Linear or module.padding in ((0, 0), "valid") or values[carrier] == 0:
        bias = bias + weight.reshape(*weight.shape[:2], -1).sum(2) @ values
    else:  # zeros stand around the constant maps, but one map can carry them all
        weight[:, carrier] = torch.einsum("oi...,i->o...", weight, values / values[carrier])
        reads[:, carrier] = reads[:, values != 0].any(1)
        constant[carrier] = False
    weight[:, constant] = 0
    reads[:, constant] = False
    return Folded(weight, bias, reads)


def _outcome(folded: Folded, constants: Tensor) -> Tensor:
    """Return the constants after a layer, laid out as those before it."""
    outcome = folded.bias.where(~folded.reads.any(1), torch.nan)
    return outcome.view(1, -1, *constants.shape[2:])


def _spread(notes: Tensor, count: int) -> Tensor:
    """Repeat each map's note for its positions, or the image's for its channels or pixels."""
    return notes.repeat_interleave(count // len(notes))


def _inputs(folded: Folded, fate: Tensor) -> Tensor:
    """Return what becomes of a layer's inputs (in,), given what becomes of its outputs (out,)."""
    read = folded.reads[fate == NEEDED].any(0)
    inputs = torch.where(read, NEEDED, GONE)
    if not read.any():
        inputs[0] = IDLE
    return inputs


def _cut(step: Step, folded: Folded, kept: Tensor, inputs: Tensor, present: Tensor) -> nn.Module:
    """Cut a layer down to some outputs and inputs, and have it select these where more are present."""
    module = step.operation
    weight, bias = folded.weight[kept][:, inputs], folded.bias[kept]
    if module.bias is not None or bias.any():
        module.bias = nn.Parameter(bias.to(module.weight))
    module.weight = nn.Parameter(weight.to(module.weight))
    if step.kind is nn.Linear:
        module.out_features, module.in_features = weight.shape
    else:
        module.out_channels, module.in_channels = weight.shape[:2]
    if inputs.equal(present):
        return module  # type: ignore[no-any-return]
    indices = inputs[present].nonzero().flatten().int().to(module.weight.device)
    return nn.Sequential(OrderedDict(select=Select(indices), layer=module))
