"""Speedup of pruned networks over the dense one, and the densities at which there is one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby, takewhile
from typing import Any, NamedTuple

DENSE = ("dense", "numpy")  # the unpruned network in PyTorch, and with NumPy's cheaper calls
LISTED = 3  # densities that a sentence lists one by one, at most
MARGIN = 1.05  # a smaller speedup is none: two forms that run the same products differ by 2%
BUSY = 0.25  # distance of the quartiles, as a share of the median, that other work on the machine explains


class Speedup(NamedTuple):
    """Speedup of the fastest pruned form over the fastest dense form at one density.

    Attributes:
        density: 0 to 1.
        low, median, high: dense time over pruned time, of the unfavourable quartiles, the medians and the
            favourable quartiles.
        spread: distance of the quartiles of a time as a share of its median, the larger one of both.
    """

    density: float
    low: float
    median: float
    high: float
    spread: float


def spread(low: float, median: float, high: float) -> float:
    """Return the distance of the quartiles as a share of the median; above `BUSY`, times do not agree."""
    return (high - low) / median


class Crossover(NamedTuple):
    """Result of a comparison of pruned and dense networks at several densities, 0 to 1.

    Attributes:
        highest: the highest density up to which the pruned network is always faster; None if it is not faster
            at the lowest density.
        faster: all densities below 1 at which it is faster, in ascending order.
        unclear: all densities below 1 at which the quartiles leave open whether it is faster.
        spread: the largest one of the times compared (`Speedup.spread`).
    """

    highest: float | None
    faster: list[float]
    unclear: list[float]
    spread: float = 0.0


def speedups(rows: Sequence[Mapping[str, Any]]) -> list[Speedup]:
    """Compare the fastest pruned form with the fastest dense form at every density, in ascending order.

    The fastest form is the one with the lowest median.

    Args:
        rows: of `latency.measure`, of one batch size, each with its `density`; every density has a row with
            the form `dense`.
    """
    found = []
    by_density = sorted(rows, key=lambda row: row["density"])
    for density, group in groupby(by_density, key=lambda row: row["density"]):
        forms = {row["form"]: row for row in group}
        dense = _fastest([forms.pop(name) for name in DENSE if name in forms])
        pruned = _fastest(forms.values())
        low, median, high = (
            dense[f"ms_{a}"] / pruned[f"ms_{b}"]
            for a, b in (("low", "high"), ("median", "median"), ("high", "low"))
        )
        widest = max(spread(row["ms_low"], row["ms_median"], row["ms_high"]) for row in (dense, pruned))
        found.append(Speedup(density, low, median, high, widest))
    return found


def crossover(rows: Sequence[Mapping[str, Any]]) -> Crossover:
    """Find the densities at which the fastest pruned form is faster than the fastest dense form.

    It is faster if even the lower quartile of its speedup is above `MARGIN`, and not if the upper quartile is
    at most `MARGIN`; otherwise it is unclear. At density 1 nothing is pruned: a gain there is due to another
    library, and does not count.

    Args:
        rows: as in `speedups`.
    """
    found = [one for one in speedups(rows) if one.density < 1]
    faster = {one.density: one.low > MARGIN for one in found}
    return Crossover(
        highest=max(takewhile(faster.__getitem__, faster), default=None),
        faster=[density for density in faster if faster[density]],
        unclear=[one.density for one in found if one.low <= MARGIN < one.high],
        spread=max((one.spread for one in found), default=0.0),
    )


def _fastest(rows: Iterable[Mapping[str, Any]]) -> Mapping[str, Any]:
    return min(rows, key=lambda row: row["ms_median"])


def sentence(crossovers: Mapping[int, Crossover]) -> str:
    """Return one sentence about the crossover at each batch size, {images: crossover}."""
    parts = [f"at batch {batch}, {_where(found)}" for batch, found in crossovers.items()]
    busy = max(found.spread for found in crossovers.values())
    doubt = f" The machine was busy, times differ by {busy:.0%}: run footprint again." if busy > BUSY else ""
    return f"Pruned networks run faster than dense ones: {'; '.join(parts)}.{doubt}"


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
