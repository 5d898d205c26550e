"""Round numbers of channels: how many units may be left where hardware wants multiples."""

from collections.abc import Mapping
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from prunet.structure.finding import Group, Units


def multiples(
    units: Units, layers: Mapping[str, Mapping[str, NDArray[np.integer[Any]]]], round_to: int
) -> dict[str, list[tuple[NDArray[np.integer[Any]], int]]]:
    """Return how many units leave every layer a multiple of `round_to` channels.

    The head of an attention counts with its width: 8 channels are one head of 64, or two of 4.

    Args:
        units: from `find_units`.
        layers: the first result of `masks.coupled`.
        round_to: channels.

    Returns:
        Of each set of layers that share units, the units that lie in the same layers, by their numbers in
        `layers`, and the number that the survivors of these are to be a multiple of.
    """
    found: dict[str, list[tuple[NDArray[np.integer[Any]], int]]] = {name: [] for name in layers}
    for group in units.groups:
        weight, _, own = group.rows[0]
        for name, rows in layers.items():
            numbers = np.unique(rows.get(weight.name, own)[own >= 0])
            if weight.name in rows and numbers[0] >= 0:
                found[name].append((numbers, round_to // gcd(round_to, _width(group))))
    return found


def _width(group: Group) -> int:
    """Return the number of rows or columns that each unit has in every weight, or their common divisor."""
    weights = [part for part in group.slices if part.tensor.masked and part.tensor.value.ndim > 1]
    return int(
        np.gcd.reduce([count for part in weights for count in np.bincount(part.units[part.units >= 0])])
    )
