"""Codebook quantisation: the weights of a layer share a few values (Han et al. 2016, section 3)."""

import numpy as np
from numpy.typing import NDArray

BINS = 64  # of the histogram that the start values come from
ITERATIONS = 2000  # a few hundred are enough; the limit is there because rounding could make them cycle


def quantise(values: NDArray[np.float32], bits: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Quantise values to a codebook of at most 2**bits entries by k-means in one dimension.

    Args:
        values: (n,) finite.
        bits: 1 to 8.

    Returns:
        codebook: (k,) ascending, k <= 2**bits; the distinct values themselves if there are at most 2**bits.
        indices: (n,) entry of each value, the nearest one.
    """
    ordered = np.sort(values)
    codebook = ordered[np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]]
    if len(codebook) > 2**bits:
        codebook = _cluster(ordered.astype(np.float64), 2**bits).astype(np.float32)
    return codebook, np.searchsorted(_midpoints(codebook.astype(np.float64)), values).astype(np.uint8)


def _cluster(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the means of at most `count` clusters of sorted values (n,) with more distinct values than that.

    This is Lloyd's algorithm. In one dimension a cluster is a contiguous range of the sorted values, so
    cumulative sums give its mean. An empty cluster restarts at the far end of a wide one.
    """
    sums = np.append(0.0, np.cumsum(ordered))
    means = _start(ordered, count)
    before = np.zeros(0, np.intp)
    for _ in range(ITERATIONS):
        inner = np.searchsorted(ordered, _midpoints(means), side="right")
        if np.array_equal(inner, before):
            break
        before, ends = inner, np.concatenate([[0], inner, [len(ordered)]])
        ends = ends[np.append(True, ends[1:] > ends[:-1])]  # drop empty clusters
        sizes, least, greatest = np.diff(ends), ordered[ends[:-1]], ordered[ends[1:] - 1]
        means = np.clip(np.diff(sums[ends]) / sizes, least, greatest)  # because the sums are rounded
        widest = np.argsort(-sizes * (greatest - least) ** 2, kind="stable")[: count - len(means)]
        means = np.sort(np.append(means, greatest[widest]))
    return np.unique(means)


def _start(ordered: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return `count` values whose density is the cube root of that of `ordered` (Panter & Dite 1951).

    Han et al. start with evenly spaced values. Magnitude pruning leaves no values around zero, where many of
    these entries would be lost; the start here ends with a smaller squared error.
    """
    counts, edges = np.histogram(ordered, BINS)
    share = np.append(0.0, np.cumsum(np.cbrt(counts)))
    start: NDArray[np.float64] = np.interp((np.arange(count) + 0.5) / count * share[-1], share, edges)
    return start


def _midpoints(codebook: NDArray[np.float64]) -> NDArray[np.float64]:
    return (codebook[1:] + codebook[:-1]) / 2
