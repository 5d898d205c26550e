"""Number of weights in each layer of a sparse network with a given number of weights in total."""

import numpy as np

from prunet.cells.masks import Masks


def uniform(shape: tuple[int, ...]) -> float:
    """Give every layer the same density, the first and the output layer too."""
    return float(np.prod(shape))


def erdos_renyi_kernel(shape: tuple[int, ...]) -> float:
    """Give layers a density proportional to (sum of dimensions) / (product of dimensions), up to 1.

    The number of weights is then proportional to the sum of a layer's dimensions (filters, channels, height,
    width; or those of a matrix): small layers are denser (Evci et al. 2020, section 3, (1)).
    """
    return float(sum(shape))


DENSITIES = {"uniform": uniform, "erdos-renyi-kernel": erdos_renyi_kernel}


def survivors(shapes: dict[str, tuple[int, ...]], total: int, densities: str) -> dict[str, int]:
    """Return the number of weights of every layer: `total` together, and at least one in each.

    Args:
        shapes: of every layer.
        total: between the number of layers and the number of all weights.
        densities: a key of `DENSITIES`.
    """
    shares = [DENSITIES[densities](shape) for shape in shapes.values()]
    sizes = [int(np.prod(shape)) for shape in shapes.values()]
    return dict(zip(shapes, apportion(total, shares, sizes, least=1), strict=True))


def apportion(total: int, shares: list[float], room: list[int], least: int = 0) -> list[int]:
    """Split `total` into whole numbers proportional to `shares`, none below `least` or above its `room`.

    Numbers that reach a bound pass the rest on to the others, proportionally too; what rounding leaves goes
    to the largest remainders, the first of equals. A share of zero gets what nobody else has room for.

    Args:
        total: between `least` for each and the sum of `room`.
        shares: not negative, in any unit.
        room: each at least `least`.
    """
    most = np.array(room, dtype=np.float64)
    parts = np.array(shares, dtype=np.float64)
    parts = np.maximum(parts / parts.max(), 1e-12) if parts.any() else np.ones_like(parts)
    # As their common factor grows, the sum of the numbers is piecewise linear, with a kink at every bound.
    kinks = np.sort(np.concatenate([least / parts, most / parts]))
    sums = [np.clip(kink * parts, least, most).sum() for kink in kinks]
    exact = np.clip(np.interp(total, sums, kinks) * parts, least, most)
    counts = np.floor(exact)
    rest = total - int(counts.sum())
    order = np.argsort(counts - exact, kind="stable")
    counts[order[counts[order] < most[order]][:rest]] += 1
    return [int(count) for count in counts]


def random_mask(
    counts: dict[str, int], shapes: dict[str, tuple[int, ...]], rng: np.random.Generator
) -> Masks:
    """Draw the mask (*shape) of one network, with `counts` survivors in each layer."""
    masks = {}
    for name, shape in shapes.items():
        flat = np.zeros(int(np.prod(shape)), bool)
        flat[rng.permutation(flat.size)[: counts[name]]] = True
        masks[name] = flat.reshape(shape)
    return masks
