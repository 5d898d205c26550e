"""Milliseconds that forms of one network take, beside one another in one run, and what they say."""

import gc
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from time import perf_counter
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

DENSE = ("dense", "numpy")  # the unpruned network, in PyTorch and with NumPy's cheaper calls
BLOCK_SECONDS = 0.002  # that a form runs before it is the next one's turn
LEAST = 5  # times of a form: the quartiles of fewer say nothing
SLOW_SECONDS = 0.05  # a call that takes longer fills the caches in a small part of its time


def measure(
    forms: Mapping[str, Callable[[Tensor], Tensor]], batches: Sequence[Tensor], seconds: float
) -> list[dict[str, Any]]:
    """Measure every form of a network on every batch: what slows the machine for a while slows all forms.

    The number of threads is the caller's, by `torch.set_num_threads`; NumPy's products get as many.

    Args:
        forms: {name: a network in evaluation mode}, all of the same outputs.
        batches: images (B, C, H, W), each of another size B.
        seconds: to spend on each form and batch; each is measured at least `LEAST` times.

    Returns:
        A row for each batch and form: `form`, `batch` (images), `threads`, `repeats`, `ms_median`, `ms_low`
        and `ms_high` (quartiles) of the whole batch, and `images_per_second` (at the median).
    """
    with torch.inference_mode():
        return [
            _row(form, len(images), times)
            for images in batches
            for form, times in alternate(forms, images, seconds).items()
        ]


def _row(form: str, batch: int, times: list[float]) -> dict[str, Any]:
    low, median, high = quartiles(times)
    return {
        "form": form,
        "batch": batch,
        "threads": torch.get_num_threads(),
        "repeats": len(times),
        "ms_median": 1000 * median,
        "ms_low": 1000 * low,
        "ms_high": 1000 * high,
        "images_per_second": batch / median,
    }


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile, interpolated between neighbours."""
    low, median, high = statistics.quantiles(values, method="inclusive")
    return low, median, high


def alternate(
    forms: Mapping[str, Callable[[Any], object]], argument: Any, seconds: float
) -> dict[str, list[float]]:
    """Return the times (s) of `form(argument)`, the forms taking turns until each had about `seconds`.

    Each is measured `LEAST` times or more. A turn is a block of calls: at work a network finds its own
    weights in the caches, not another's. The first call of a block does not count, for it finds the other's;
    if it takes `SLOW_SECONDS`, no matter.
    """
    times: dict[str, list[float]] = {name: [] for name in forms}
    with _no_garbage_collection(), threadpool_limits(torch.get_num_threads(), user_api="blas"):
        # First of all what is slow for the first time.
        slow = {name: _seconds(form, argument) > SLOW_SECONDS for name, form in forms.items()}
        end = perf_counter() + seconds * len(forms)
        while len(times[next(iter(forms))]) < LEAST or perf_counter() < end:
            for name, form in forms.items():
                if not slow[name]:
                    _seconds(form, argument)
                block_end = perf_counter() + BLOCK_SECONDS
                times[name].append(_seconds(form, argument))
                while perf_counter() < block_end:
                    times[name].append(_seconds(form, argument))
    return times


def _seconds(form: Callable[[Any], object], argument: Any) -> float:
    on_gpu = isinstance(argument, Tensor) and argument.is_cuda
    began = perf_counter()
    form(argument)
    if on_gpu:  # it only queues the work
        torch.cuda.synchronize(argument.device)
    return perf_counter() - began


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def crossover(rows: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the highest density from which on down the best pruned form is clearly faster than a dense one.

    Clearly: its upper quartile lies below the lower quartile of the dense network, in whichever of its
    `DENSE` forms has the lower median. The best form of a density is the one with the lowest median.

    Args:
        rows: of `measure`, of one batch size, each with its `density`, and at every density one of form
            `dense`.

    Returns:
        The density, 0 to 1, or None if that is so not even at the lowest.
    """
    reached = None
    by_density = sorted(rows, key=lambda row: row["density"])
    for density, group in groupby(by_density, key=lambda row: row["density"]):
        forms = {row["form"]: row for row in group}
        dense = _quickest([forms.pop(name) for name in DENSE if name in forms])
        if _quickest(forms.values())["ms_high"] >= dense["ms_low"]:
            break
        reached = density
    return reached


def _quickest(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(rows, key=lambda row: row["ms_median"])


def sentence(crossovers: Mapping[int, float | None]) -> str:
    """Say in one sentence what `crossover` found at each batch size, {images: density or None}."""
    where = [
        "at no density measured" if density is None else f"from {100 * density:.3g}% of the weights on down"
        for density in crossovers.values()
    ]
    first, *others = zip(crossovers, where, strict=True)
    others_too = "".join(f"; at batch {batch} {reach}" for batch, reach in others)
    return f"At batch {first[0]} sparse execution is faster than dense {first[1]}{others_too}."
