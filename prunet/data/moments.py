"""Mean and standard deviation of each channel, exact however the sums were divided."""

import math
from collections.abc import Sequence


def moments(sums: Sequence[float], squares: Sequence[float], count: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation (of a sample) of each channel's pixels.

    Args:
        sums: of each channel's pixels, whole numbers.
        squares: sums of the squares of each channel's pixels.
        count: pixels of a channel in all.

    Returns:
        Two lists; a channel whose pixels are all the same has the standard deviation 1, so that dividing by
        it leaves the zeros that they are.
    """
    mean = [int(total) / count for total in sums]
    std = [
        math.sqrt((count * int(square) - int(total) ** 2) / (count * (count - 1))) or 1.0
        for total, square in zip(sums, squares, strict=True)
    ]
    return mean, std
