"""Check that a library makes a network smaller without changing what is left of it."""

import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

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


class Form(NamedTuple):
    """A form of the smaller network.

    Attributes:
        parameters: their number.
        multiply_adds: for one input; None if it does not run.
        gap: largest difference of its outputs from the masked network's, relative to the largest output.
        reason: why it is not equal, or empty.
    """

    parameters: int
    multiply_adds: int | None
    gap: float
    reason: str


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
    seconds = round(time.perf_counter() - began, 2)
    multiply_adds, wanted = run(masked, others)
    forms = {form: compare(network, wanted, others) for form, network in smaller.items()}
    parameters, precision = count(masked), str(wanted[0].dtype).removeprefix("torch.")
    row: Row = {"parameters": parameters, "multiply_adds": multiply_adds, "seconds": seconds}
    return row | {"precision": precision} | verdict(forms, parameters, difference(dense, wanted))


def compare(smaller: nn.Module, wanted: list[Tensor], inputs: networks.Inputs) -> Form:
    """Run a form of the smaller network."""
    try:
        multiply_adds, found = run(smaller, inputs)
    except Exception as error:  # any fault of a library is a result
        return Form(count(smaller), None, float("inf"), f"the smaller network fails: {cause(error)[:200]}")
    gap = difference(wanted, found)
    reason = "" if gap <= TOLERANCE[wanted[0].dtype] else f"outputs differ by {gap:.2g} of the largest"
    return Form(count(smaller), multiply_adds, gap, reason)


def verdict(forms: dict[str, Form], parameters: int, effect: float) -> Row:
    """Judge the forms of the smaller network; the last one may not compute another function.

    Args:
        forms: by name. An equal one counts; it is the first where several are.
        parameters: of the dense network.
        effect: of the masks on the outputs, relative to the largest output.
    """
    equal = [name for name, form in forms.items() if not form.reason]
    last = list(forms.values())[-1]
    form = forms[equal[0]] if equal else last
    row: Row = {
        "forms": equal,
        "parameters_after": form.parameters,
        "multiply_adds_after": form.multiply_adds,
        "difference": form.gap if math.isfinite(form.gap) else None,
    }
    if last.reason and (not equal or last.multiply_adds is not None):
        result = "refused" if last.multiply_adds is None else "different"
        return row | {"result": result, "reason": last.reason}
    share = 1 - form.parameters / parameters
    if share < LEAST_SHARE:
        return row | {"result": "refused", "reason": f"only {share:.0%} of the parameters can go"}
    if effect < LEAST_EFFECT:
        reason = "the masks do not change the outputs, so that equal outputs prove nothing"
        return row | {"result": "different", "reason": reason}
    return row | {"result": "equal", "reason": ""}


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
