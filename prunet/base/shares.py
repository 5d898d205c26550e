"""Confidence interval of a share."""

import math
from statistics import NormalDist

Z = NormalDist().inv_cdf(0.975)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the ends of the 95% interval of a share of independent cases (Wilson 1927), 0 to 1.

    Args:
        share: that was found, 0 to 1; it may be a mean of shares of the same cases.
        count: of the cases, at least 1.
    """
    centre, weight = share + Z**2 / (2 * count), 1 + Z**2 / count
    half = Z * math.sqrt(share * (1 - share) / count + (Z / (2 * count)) ** 2)
    return max(0.0, (centre - half) / weight), min(1.0, (centre + half) / weight)
