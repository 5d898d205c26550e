"""Mean and standard deviation of each channel, computed from integer sums and therefore exact."""

import math
from collections.abc import Sequence


def moments(sums: Sequence[float], squares: Sequence[float], count: int) -> tuple[list[float], list[float]]:
    """Return the mean and the sample standard deviation of each channel's pixels.

    Args:
        sums: sum of each channel's pixels, whole numbers.
        squares: sum of the squares of each channel's pixels, whole numbers.
        count: number of pixels in a channel.

    Returns:
        Two lists, one value per channel. The standard deviation of a constant channel is given as 1, so that
        dividing by it is safe.
    """
    mean = [int(total) / count for total in sums]
    std = [
        math.sqrt((count * int(square) - int(total) ** 2) / (count * (count - 1))) or 1.0
        for total, square in zip(sums, squares, strict=True)
    ]
    return mean, std
