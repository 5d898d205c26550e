"""Weights that share few values: the codebook of a layer (Han et al. 2016, section 3)."""

import numpy as np
from numpy.typing import NDArray

BINS = 64  # of the histogram that says where the codebook starts
ITERATIONS = 2000  # some hundred are enough; a bound, because rounding could make them cycle


def quantise(values: NDArray[np.float32], bits: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Replace values by the nearest of at most 2**bits: k-means in one dimension, on all values.

    Args:
        values: (n,) finite.
        bits: 1 to 8.

    Returns:
        codebook: (k,) ascending, k <= 2**bits; the values themselves where they are no more than that.
        indices: (n,) of each value's entry.
    """
    ordered = np.sort(values)
    codebook = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    if len(codebook) > 2**bits:
        codebook = _cluster(ordered.astype(np.float64), 2**bits).astype(np.float32)
    return codebook, np.searchsorted(_midpoints(codebook.astype(np.float64)), values).astype(np.uint8)


def _cluster(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the means of at most `count` clusters of sorted values (n,), of which more are distinct.

    Lloyd's algorithm. In one dimension a cluster is a stretch of the sorted values, so that running sums give
    its mean. An empty cluster starts again at the far end of a wide one.
    """
    sums = np.append(0.0, np.cumsum(ordered))
    means = _start(ordered, count)
    before = np.zeros(0, np.intp)
    for _ in range(ITERATIONS):
        inner = np.searchsorted(ordered, _midpoints(means), side="right")
        if np.array_equal(inner, before):
            break
        before, ends = inner, np.concatenate([[0], inner, [len(ordered)]])
        ends = ends[np.append(True, ends[1:] > ends[:-1])]  # without the empty ones
        sizes, least, greatest = np.diff(ends), ordered[ends[:-1]], ordered[ends[1:] - 1]
        means = np.clip(np.diff(sums[ends]) / sizes, least, greatest)  # the sums are rounded
        widest = np.argsort(-sizes * (greatest - least) ** 2, kind="stable")[: count - len(means)]
        means = np.sort(np.append(means, greatest[widest]))
    return np.unique(means)


def _start(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return `count` values, as dense as the cube root of the values' own density (Panter & Dite 1951).

    Han et al. start evenly between the least and the greatest value. After magnitude pruning nothing lies
    around zero, and many of these would be lost there; these end with a smaller squared error.
    """
    counts, edges = np.histogram(ordered, BINS)
    share = np.append(0.0, np.cumsum(np.cbrt(counts)))
    start: NDArray[np.float64] = np.interp((np.arange(count) + 0.5) / count * share[-1], share, edges)
    return start


def _midpoints(codebook: NDArray[np.float64]) -> NDArray[np.float64]:
    return (codebook[1:] + codebook[:-1]) / 2
