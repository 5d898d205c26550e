"""Whether a library makes a network smaller without changing what is left of it."""

import time
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from bench.coverage import networks
from bench.coverage.pruners import PRUNERS, leaves
from prunet.base.errors import InputError, cause

TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # relative to the largest output
LEAST_EFFECT = 1e-3  # of masks on the outputs; below it, equal outputs would prove nothing
LEAST_SHARE = 1 / 3  # of the parameters that must go

Row = dict[str, Any]


def check(library: str, name: str) -> Row:
    """Remove half of the units of a network; return a row of the results without `library` and `model`."""
    model, example, others = networks.build(name)
    with torch.no_grad():
        dense = leaves(model(*copies(others)))
    began = time.perf_counter()
    try:
        masked, smaller = PRUNERS[library](model, example)
    except InputError as error:
        return {"result": "refused", "reason": str(error)}
    except Exception as error:  # any fault of a library is a result
        return {"result": "refused", "reason": cause(error)[:200]}
    row: Row = {"result": "different", "reason": "", "seconds": round(time.perf_counter() - began, 2)}
    row["parameters"], row["parameters_after"] = count(masked), count(smaller)
    row["multiply_adds"], wanted = run(masked, others)
    try:
        row["multiply_adds_after"], found = run(smaller, others)
    except Exception as error:  # any fault of a library is a result
        return row | {"result": "refused", "reason": f"the smaller network fails: {cause(error)[:200]}"}
    return row | verdict(row, dense, wanted, found)


def verdict(row: Row, dense: list[Tensor], masked: list[Tensor], smaller: list[Tensor]) -> Row:
    """Compare the outputs of the dense, the masked and the smaller network."""
    precision = masked[0].dtype
    gap, share = difference(masked, smaller), 1 - row["parameters_after"] / row["parameters"]
    found = {"precision": str(precision).removeprefix("torch."), "difference": gap}
    if gap == float("inf"):
        return found | {"difference": None, "reason": "outputs have other shapes, or are not numbers"}
    if gap > TOLERANCE[precision]:
        return found | {"reason": f"outputs differ by {gap:.2g} of the largest"}
    if share < LEAST_SHARE:
        return found | {"result": "refused", "reason": f"only {share:.0%} of the parameters can go"}
    if difference(dense, masked) < LEAST_EFFECT:
        return found | {"reason": "the masks do not change the outputs, so that equal outputs prove nothing"}
    return found | {"result": "equal"}


def difference(wanted: list[Tensor], found: list[Tensor]) -> float:
    """Return the largest difference relative to the largest output; infinity for other shapes or NaN."""
    if [value.shape for value in wanted] != [value.shape for value in found]:
        return float("inf")
    gaps = [
        float((one - other).abs().max() / one.abs().max()) for one, other in zip(wanted, found, strict=True)
    ]
    return max((gap if gap == gap else float("inf") for gap in gaps), default=0.0)


@torch.no_grad()
def run(model: nn.Module, inputs: networks.Inputs) -> tuple[int, list[Tensor]]:
    """Return a model's multiply-adds for one of the inputs, and its outputs for all."""
    with FlopCounterMode(display=False) as counter:
        outputs = leaves(model(*copies(inputs)))
    return counter.get_total_flops() // 2 // len(inputs[0]), outputs


def copies(inputs: Iterable[Tensor]) -> list[Tensor]:
    """Copy inputs that a network may change."""
    return [value.clone() for value in inputs]


def count(model: nn.Module) -> int:
    """Return the number of parameters, and of what a program has computed from parameters in their place."""
    computed = (buffer for name, buffer in model.named_buffers() if name.startswith("computed_"))
    return sum(tensor.numel() for tensor in (*model.parameters(), *computed) if tensor.is_floating_point())
