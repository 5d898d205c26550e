"""Proof that two networks compute the same outputs."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from prunet.structure.finding import Units
from prunet.structure.resizing import cut, survivors
from prunet.structure.tensors import Activation

EXACT = 1e-8  # largest difference in float64, relative to the largest value


@torch.no_grad()
def difference(one: nn.Module, other: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Return the largest difference of the outputs, relative to the largest output of `one`.

    Both run in evaluation mode and in float64. It is infinite if shapes differ, and NaN if an output is.

    Args:
        one, other: of the same inputs; they are not changed.
        inputs: each (N, ...).
    """
    exact = [value.double() if value.is_floating_point() else value for value in inputs]
    with _float64():
        results = [tensors(copy.deepcopy(model).double().eval()(*exact)) for model in (one, other)]
    if [value.shape for value in results[0]] != [value.shape for value in results[1]]:
        return float("inf")
    worst = 0.0
    for first, second in zip(*results, strict=True):
        if first.numel():
            largest = max(float(first.abs().max()), torch.finfo(torch.float64).tiny)
            worst = max(worst, float((first - second).abs().max()) / largest)
    return worst


@torch.no_grad()
def first_difference(
    units: Units,
    gone: list[NDArray[np.bool_]],
    masked: fx.GraphModule,
    smaller: fx.GraphModule,
    inputs: Sequence[Tensor],
) -> str:
    """Return the name of the first operation whose values in two programs of `cut` differ.

    It is "no operation" if none does.

    Args:
        units: of the network.
        gone: the removed units of each group.
        masked, smaller: the programs.
        inputs: each (N, ...), N as in the example of the units.
    """
    alive = units.alive(gone)
    values = [_Record(copy.deepcopy(program).double()) for program in (masked, smaller)]
    with _float64():
        for record in values:
            record.run(*(value.double() if value.is_floating_point() else value for value in inputs))
    whole, less = (record.seen for record in values)
    for node, found in units.walk.found.items():
        if isinstance(found, Activation) and node.name in whole and node.op == "call_function":
            lines = survivors(found.labels, alive)[1:]
            left = cut(whole[node.name].movedim(0, -1), lines).movedim(-1, 0)
            difference = (
                (left - less[node.name]).abs().max() if left.shape == less[node.name].shape else EXACT + 1
            )
            if not difference <= EXACT * max(1.0, float(left.abs().max())):
                return node.name
    return "no operation"


@contextmanager
def _float64() -> Iterator[None]:
    """Create floating-point tensors in float64, whatever type the code of a network asks for."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _Wide():  # type: ignore[no-untyped-call]
            yield
    finally:
        torch.set_default_dtype(before)


class _Wide(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Mode in which operations that name a floating-point type get float64 instead."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        wide: Any = tree_map(_wide, (args, kwargs or {}))
        return func(*wide[0], **wide[1])


def _wide(value: Any) -> Any:
    named = isinstance(value, torch.dtype) and value.is_floating_point
    return torch.float64 if named else value


class _Record(fx.Interpreter):
    """Interpreter that keeps the floating-point tensor of every node."""

    def __init__(self, program: fx.GraphModule) -> None:
        super().__init__(program)
        self.seen: dict[str, Tensor] = {}

    def run_node(self, node: fx.Node) -> Any:
        value = super().run_node(node)
        if isinstance(value, Tensor) and value.is_floating_point():
            self.seen[node.name] = value
        return value


def random_inputs(example: Sequence[Tensor], count: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Return normal random inputs of the shapes of an example, (count, ...); integers are repeated."""
    generator = torch.Generator().manual_seed(seed)
    rows = [torch.arange(count) % len(value) for value in example]
    return tuple(
        torch.randn((count, *value.shape[1:]), generator=generator).to(value)
        if value.is_floating_point()
        else value[row.to(value.device)]
        for value, row in zip(example, rows, strict=True)
    )


def tensors(outputs: Any) -> list[Tensor]:
    """List the floating-point tensors in a network's outputs: a tensor, or lists and dictionaries of them."""
    if isinstance(outputs, Tensor):
        return [outputs] if outputs.is_floating_point() else [outputs.double()]
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    return (
        [value for part in outputs or [] for value in tensors(part)]
        if isinstance(outputs, list | tuple)
        else []
    )
