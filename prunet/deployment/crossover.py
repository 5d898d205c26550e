"""Densities at which a pruned network is faster than the dense one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any, NamedTuple

DENSE = ("dense", "numpy")  # the unpruned network in PyTorch, and with NumPy's cheaper calls
LISTED = 3  # densities that a sentence lists one by one, at most


class Crossover(NamedTuple):
    """Result of a comparison of pruned and dense networks at several densities, 0 to 1.

    Attributes:
        highest: the highest density below which the pruned network is always faster; None if it is not faster
            at the lowest density.
        faster: all densities at which it is faster, in ascending order.
        unclear: all densities at which the times overlap.
    """

    highest: float | None
    faster: list[float]
    unclear: list[float]


def crossover(rows: Sequence[Mapping[str, Any]]) -> Crossover:
    """Compare the fastest pruned form with the fastest dense form at every density.

    The fastest form is the one with the lowest median. The pruned one is faster if its upper quartile is
    below the lower quartile of the dense one; the times overlap if neither is faster by this rule.

    Args:
        rows: of `latency.measure`, of one batch size, each with its `density`; every density has a row with
            the form `dense`.
    """
    faster: dict[float, bool] = {}
    unclear = []
    by_density = sorted(rows, key=lambda row: row["density"])
    for density, group in groupby(by_density, key=lambda row: row["density"]):
        forms = {row["form"]: row for row in group}
        dense = _fastest([forms.pop(name) for name in DENSE if name in forms])
        pruned = _fastest(forms.values())
        faster[density] = pruned["ms_high"] < dense["ms_low"]
        if not faster[density] and pruned["ms_low"] <= dense["ms_high"]:
            unclear.append(density)
    highest = max(takewhile(faster.__getitem__, faster), default=None)
    return Crossover(highest, [density for density in faster if faster[density]], unclear)


def _fastest(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(rows, key=lambda row: row["ms_median"])


def sentence(crossovers: Mapping[int, Crossover]) -> str:
    """Return one sentence about the crossover at each batch size, {images: crossover}."""
    parts = [f"at batch {batch}, {_where(found)}" for batch, found in crossovers.items()]
    return f"Sparse execution is faster than dense: {'; '.join(parts)}."


def _where(found: Crossover) -> str:
    if found.highest is not None:
        where = f"at every measured density up to {_percent(found.highest)}"
    elif found.faster:
        where = f"at {_listed(found.faster)}, but not at the lowest measured density"
    else:
        where = "at no measured density"
    return where + (f" (too close to call at {_listed(found.unclear)})" if found.unclear else "")


def _listed(densities: list[float]) -> str:
    if len(densities) > LISTED:
        return f"{len(densities)} densities from {_percent(densities[0])} to {_percent(densities[-1])}"
    *most, last = map(_percent, densities)
    return f"{', '.join(most)} and {last}" if most else last


def _percent(density: float) -> str:
    return f"{100 * density:.3g}%"
