"""Confidence intervals and tests over replicates, and differences paired by replicate."""

import math

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

LEAST = 3  # replicates that a test needs


def interval(values: "pd.Series[float]") -> float:
    """Return half the width of the mean's 95% confidence interval (Student 1908); NaN for a single value."""
    count = len(values)
    if count < 2:
        return math.nan
    return float(stdtrit(count - 1, 0.975) * values.std() / math.sqrt(count))


def p_above(values: "pd.Series[float]", bound: float) -> float:
    """Return the one-sided p value of a t-test that the mean is above `bound`; NaN for fewer than `LEAST`.

    It is below 0.025 if and only if the lower end of the 95% interval lies above `bound`.
    """
    count = len(values)
    if count < LEAST:
        return math.nan
    distance, error = values.mean() - bound, values.std() / math.sqrt(count)
    return float(stdtr(count - 1, -distance / error) if error else distance <= 0)


def p_differs(values: "pd.Series[float]") -> float:
    """Return the two-sided p value of a t-test that the mean is not zero; NaN for fewer than `LEAST`."""
    return float(np.minimum(1, 2 * np.minimum(p_above(values, 0), p_above(-values, 0))))


def holm(p: "pd.Series[float]") -> "pd.Series[float]":
    """Return p values corrected for their number: all together, they err as rarely as a single one.

    Step-down (Holm 1979): of m values the smallest is multiplied by m, the next by m - 1, and so on; none
    becomes smaller than one before it, or larger than 1. NaN stays NaN and does not count.
    """
    ordered = p.dropna().sort_values()
    return (ordered * np.arange(len(ordered), 0, -1)).cummax().clip(upper=1).reindex(p.index)


def paired(values: "pd.Series[float]", baseline: "pd.Series[float]") -> tuple[float, float]:
    """Return the mean difference `values` - `baseline` by replicate, and half its 95% interval.

    Two cells of a replicate share their data order, and their masks if they are of one round. The effect of
    that seed cancels in the difference, so the interval is narrower than for two independent means.
    """
    difference = values - baseline
    return float(difference.mean()), interval(difference)
