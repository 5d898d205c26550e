"""How many weights each layer of a sparse network has, when all layers together have a given number."""

import numpy as np
from numpy.typing import NDArray

from prunet.pruning.masks import Masks


def uniform(shape: tuple[int, ...]) -> float:
    """Every layer has the same density, the first and the output layer too."""
    return float(np.prod(shape))


def erdos_renyi_kernel(shape: tuple[int, ...]) -> float:
    """The density is in proportion to (sum of dimensions) / (product of dimensions), up to 1.

    So the number of weights is in proportion to the sum of the dimensions of a filter's layer (filters,
    channels, height, width) or of a matrix: small layers are denser (Evci et al. 2020, section 3, (1)).
    """
    return float(sum(shape))


DENSITIES = {"uniform": uniform, "erdos-renyi-kernel": erdos_renyi_kernel}


def survivors(shapes: dict[str, tuple[int, ...]], total: int, densities: str) -> dict[str, int]:
    """Return the number of weights of every layer, `total` together and at least one in each.

    Args:
        shapes: of every layer.
        total: number of layers to number of all weights.
        densities: a key of `DENSITIES`.
    """
    shares = [DENSITIES[densities](shape) for shape in shapes.values()]
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    return dict(zip(shapes, apportion(total, shares, sizes, least=1), strict=True))


def apportion(total: int, shares: list[float], room: list[int], least: int = 0) -> list[int]:
    """Split `total` into whole numbers in proportion to `shares`, none below `least` or above its `room`.

    What one may not have goes to the others, in proportion too; what rounding leaves goes to the largest
    remainders, the first of equals. A share of zero gets what nobody else has room for.

    Args:
        total: between `least` for each and the sum of `room`.
        shares: not negative, in any unit.
        room: each at least `least`.
    """
    most = np.array(room, dtype=np.float64)
    parts = np.array(shares, dtype=np.float64)
    parts = np.maximum(parts / parts.max(), 1e-12) if parts.any() else np.ones_like(parts)
    # The sum of all numbers, as their common factor grows, is a line with a bend wherever one meets a bound.
    bends = np.sort(np.concatenate([least / parts, most / parts]))
    sums = [np.clip(bend * parts, least, most).sum() for bend in bends]
    exact = np.clip(np.interp(total, sums, bends) * parts, least, most)
    counts = np.floor(exact)
    rest = total - int(counts.sum())
    order = np.argsort(counts - exact, kind="stable")
    counts[order[counts[order] < most[order]][:rest]] += 1
    return [int(count) for count in counts]


def random_mask(
    counts: dict[str, int], shapes: dict[str, tuple[int, ...]], rng: np.random.Generator
) -> Masks:
    """Draw the mask (*shape) of one network, with `counts` survivors in every layer."""
    masks = {}
    for name, shape in shapes.items():
        flat = np.zeros(int(np.prod(shape)), bool)
        flat[rng.permutation(flat.size)[: counts[name]]] = True
        masks[name] = flat.reshape(shape)
    return masks


def lowest(scores: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Return the indices of the `count` lowest scores (n,): of equal scores the earlier ones."""
    if count == 0:
        return np.empty(0, np.intp)
    edge = np.partition(scores, count - 1)[count - 1]  # without sorting millions of weights
    below = np.flatnonzero(scores < edge)
    return np.concatenate([below, np.flatnonzero(scores == edge)[: count - len(below)]])
