"""Published claims about a study's schemes, beside what was measured."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from prunet.analysis.comparisons import TOO_FEW
from prunet.analysis.statistics import LEAST, interval, paired
from prunet.analysis.summary import Results, by_replicate

COLUMNS = ["claim", "measure", "published", "measured", "low", "high", "agrees"]


class Measured(NamedTuple):
    """A value and its 95% interval; NaN where a value does not exist."""

    value: float
    low: float
    high: float


def table(claims: Sequence[dict[str, Any]], results: Results) -> pd.DataFrame:
    """Return a row for each claim: `claim`, `measure`, `published`, `measured`, `low`, `high` and `agrees`.

    `low` and `high` are the ends of the 95% interval, not corrected for the number of claims. A claim with
    `equals` agrees if that value lies in the interval. A claim with `above` agrees if the whole interval lies
    above, and is "not shown" if only the measured value does. A claim of a density agrees if the density of
    its round lies in the interval; if a scheme was never shown to fall below the other, that is "not shown".

    Args:
        claims: `claims.published` of params.yaml; each has a `measure` of `MEASURES`.
        results: of every cell; the dense networks are scheme `dense`, round `00`.
    """
    return pd.DataFrame([_row(claim, results) for claim in claims], columns=COLUMNS)


def _row(claim: dict[str, Any], results: Results) -> dict[str, Any]:
    measured = MEASURES[claim["measure"]](claim, results)
    equals, above = claim["equals"], claim["above"]
    if claim["measure"] in OF_DENSITY:
        equals = 100 * results[claim["scheme"], claim["round"]]["density"]
    row = {"claim": claim["claim"], "measure": claim["measure"]}
    row["published"] = f"> {above:g}" if equals is None else f"{equals:.3g}"
    row |= {"measured": measured.value, "low": measured.low, "high": measured.high}
    replicates = len(by_replicate(results[claim["scheme"], claim["round"]], "accuracy"))
    return row | {"agrees": TOO_FEW if replicates < LEAST else _verdict(measured, equals, above)}


def _verdict(measured: Measured, equals: float | None, above: float) -> str:
    if equals is None:
        return "yes" if measured.low > above else "not shown" if measured.value > above else "no"
    if math.isnan(measured.low):
        return "not shown" if equals <= measured.high else "no"
    return "yes" if measured.low <= equals <= measured.high else "no"


def accuracy(claim: dict[str, Any], results: Results) -> Measured:
    """Return by how many points the scheme's test accuracy at its early stop is above the other's."""
    ours, theirs = (by_replicate(cell, "accuracy") for cell in _pair(claim, claim["round"], results))
    difference, half = paired(ours, theirs)
    return Measured(100 * difference, 100 * (difference - half), 100 * (difference + half))


def earlier(claim: dict[str, Any], results: Results) -> Measured:
    """Return how much earlier the scheme stops than the other, in percent of the other's steps.

    The interval is that of a ratio of means over replicates, to first order (the delta method).
    """
    ours, theirs = (by_replicate(cell, "early_stop_step") for cell in _pair(claim, claim["round"], results))
    if not theirs.any():
        return Measured(math.nan, math.nan, math.nan)
    ratio = ours.mean() / theirs.mean()
    share, half = 1 - ratio, interval((ours - ratio * theirs) / theirs.mean())
    return Measured(100 * share, 100 * (share - half), 100 * (share + half))


def falls_below(claim: dict[str, Any], results: Results) -> Measured:
    """Return the density, in percent, at and below which the scheme's accuracy is lower than the other's.

    Accuracies are means over replicates. The interval begins at the density after the last one shown to be
    above. It ends at the first density that is shown to be below, at or after the returned one; NaN if none
    is.
    """
    densities, accuracies = [], []
    for number in _rounds(claim, results):
        densities.append(100 * results[claim["scheme"], number]["density"])
        accuracies.append(accuracy(claim | {"round": number}, results))
    start = 1 + max((at for at, found in enumerate(accuracies) if found.value >= 0), default=-1)
    above = 1 + max((at for at, found in enumerate(accuracies) if found.low > 0), default=-1)
    below = [at for at, found in enumerate(accuracies) if found.high < 0 and at >= start]
    densities.append(math.nan)  # beyond the sparsest round
    return Measured(densities[start], densities[below[0] if below else -1], densities[above])


def best(claim: dict[str, Any], results: Results) -> Measured:
    """Return the density, in percent, at which the scheme's mean accuracy is highest.

    The interval reaches over all densities whose accuracy is not shown to be lower.
    """
    cells = [results[claim["scheme"], number] for number in _rounds(claim, results)]
    accuracies = [by_replicate(cell, "accuracy") for cell in cells]
    densities = [100 * cell["density"] for cell in cells]
    top = max(range(len(cells)), key=lambda at: accuracies[at].mean())
    level = [densities[top]]
    for density, own in zip(densities, accuracies, strict=True):
        difference, half = paired(accuracies[top], own)
        if difference <= half:
            level.append(density)
    return Measured(densities[top], min(level), max(level))


MEASURES = {"accuracy": accuracy, "earlier": earlier, "falls-below": falls_below, "best": best}
OF_DENSITY = ("falls-below", "best")


def _pair(claim: dict[str, Any], number: str, results: Results) -> tuple[dict[str, Any], dict[str, Any]]:
    other = ("dense", "00") if claim["against"] == "dense" else (claim["against"], number)
    return results[claim["scheme"], number], results[other]


def _rounds(claim: dict[str, Any], results: Results) -> list[str]:
    """Return the scheme's rounds after 00, densest first."""
    return sorted(number for scheme, number in results if scheme == claim["scheme"] and number != "00")
