"""Shares of a network's costs that are left under masks of whole units."""

import statistics
from collections.abc import Callable, Collection, Sequence
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, nn

from prunet.cells.masks import Masks
from prunet.structure.costs import count
from prunet.structure.cutting import cut
from prunet.structure.finding import Units
from prunet.structure.masks import removed_rows

SECONDS = 0.4  # to time two networks in turns
LEAST = 5  # measurements of each, at least


def shares_left(
    units: Units, costs: Collection[str], inputs: Sequence[Tensor]
) -> Callable[[Masks], dict[str, float]]:
    """Return a function from the masks of one network, (*shape), to the shares of its costs that are left.

    Args:
        units: from `find_units`.
        costs: among `macs`, `parameters`, `bytes` (of `costs.count`) and `milliseconds`, which are measured
            on this machine and with the threads that are set: the smaller program's against the whole one's.
        inputs: that are timed, each (N, ...).
    """
    whole = [np.zeros(group.units, bool) for group in units.groups]
    dense = count(units, whole)
    timed = "milliseconds" in costs
    program = cut(units, whole)[1] if timed else None

    def left(masks: Masks) -> dict[str, float]:
        gone = removed_rows(units, masks)
        found = {name: value / dense[name] for name, value in count(units, gone).items()}
        if program is not None:
            found["milliseconds"] = time_share(program, cut(units, gone)[1], inputs)
        return {name: found[name] for name in costs}

    return left


def time_share(dense: nn.Module, smaller: nn.Module, inputs: Sequence[Tensor]) -> float:
    """Return the median time of a smaller network over that of the dense one; both are timed in turns."""
    from torch.utils.benchmark import Timer  # takes a second to import, and only times need it

    timers = [
        Timer("network(*inputs)", globals={"network": network, "inputs": inputs}, num_threads=threads)
        for threads in [torch.get_num_threads()]
        for network in (dense, smaller)
    ]
    times: list[list[float]] = [[], []]
    end = perf_counter() + SECONDS
    with torch.inference_mode():
        while len(times[0]) < LEAST or perf_counter() < end:
            for timer, own in zip(timers, times, strict=True):
                own.append(timer.timeit(1).median)
    return statistics.median(times[1]) / statistics.median(times[0])
