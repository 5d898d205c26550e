"""What a few replicates say about all: confidence intervals, and differences that are paired by replicate."""

import math

import pandas as pd
from scipy.special import stdtrit


def interval(values: "pd.Series[float]") -> float:
    """Return half the width of the mean's 95% confidence interval (Student 1908); NaN for a single value."""
    count = len(values)
    if count < 2:
        return math.nan
    return float(stdtrit(count - 1, 0.975) * values.std() / math.sqrt(count))


def paired(values: "pd.Series[float]", baseline: "pd.Series[float]") -> tuple[float, float]:
    """Return the mean of `values` less `baseline`, replicate by replicate, and half its 95% interval.

    Replicates of two cells share their data order, and of one round their masks: what one seed does to both
    cancels, so the interval is narrower than that of two independent means.
    """
    difference = values - baseline
    return float(difference.mean()), interval(difference)
