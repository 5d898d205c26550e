"""Inference time of several forms of a network, measured in turns."""

import gc
import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from torch import Tensor

from prunet.deployment.crossover import BUSY, spread

BLOCK_SECONDS = 0.002  # how long a form runs before it is the next one's turn
LEAST = 5  # measurements of a form, at least; quartiles of fewer mean nothing
TRIES = 3  # measurements of forms whose times do not agree, because the machine does something else
SLOW_SECONDS = 0.05  # calls that take longer fill the caches in a small part of their time


def measure(
    forms: Mapping[str, Callable[[Tensor], Tensor]], batches: Sequence[Tensor], seconds: float
) -> list[dict[str, Any]]:
    """Measure every form of a network on every batch.

    Forms take turns, so that a machine that is slow for a while slows all of them; if the quartiles of a form
    are too far apart (`BUSY`), all are measured anew, up to `TRIES` times, and the try with the smallest
    distance counts. The number of threads is that of `torch.set_num_threads`, also for NumPy.

    Args:
        forms: {name: a network in evaluation mode}, all with the same outputs.
        batches: images (B, C, H, W), each of another size B.
        seconds: time to spend on each form and batch; each is measured at least `LEAST` times.

    Returns:
        A row for each batch and form: `form`, `batch` (images), `threads`, `repeats`, `ms_median`, `ms_low`
        and `ms_high` (quartiles) for the whole batch, and `images_per_second` (at the median).
    """
    with torch.inference_mode():
        return [
            _row(form, len(images), times)
            for images in batches
            for form, times in _settled(forms, images, seconds).items()
        ]


def _settled(
    forms: Mapping[str, Callable[[Tensor], Tensor]], images: Tensor, seconds: float
) -> dict[str, list[float]]:
    settled: dict[str, list[float]] = {}
    least = math.inf
    for _ in range(TRIES):
        times = alternate(forms, images, seconds)
        widest = max(spread(*quartiles(own)) for own in times.values())
        if widest < least:
            least, settled = widest, times
        if least <= BUSY:
            break
    return settled


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
    """Return the lower quartile, median and upper quartile, interpolated between neighbours."""
    low, median, high = statistics.quantiles(values, method="inclusive")
    return low, median, high


def alternate(
    forms: Mapping[str, Callable[[Any], object]], argument: Any, seconds: float, least: int = LEAST
) -> dict[str, list[float]]:
    """Return the times (s) of `form(argument)`; forms take turns until each has run for about `seconds`.

    Each form is measured at least `least` times. A turn is a block of calls, because a network in use finds
    its own weights in the caches, not those of another network. So the first call of a block does not count.
    It does if calls take longer than `SLOW_SECONDS`, even the very first one: quartiles of five times do not
    change with one outlier.
    """
    with _no_garbage_collection(), threadpool_limits(torch.get_num_threads(), user_api="blas"):
        first = {name: _seconds(form, argument) for name, form in forms.items()}
        times = {name: [time] if time > SLOW_SECONDS else [] for name, time in first.items()}
        end = perf_counter() + seconds * len(forms)
        while min(map(len, times.values())) < least or perf_counter() < end:
            for name, form in forms.items():
                if first[name] <= SLOW_SECONDS:
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
    if on_gpu:  # calls return before the work is done
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
