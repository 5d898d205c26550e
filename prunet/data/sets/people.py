"""Split the faces of a growing list into train, val and test, and keep near-duplicates together.

A face's side depends on its place in the list, not on which other faces there are: permuted-block
randomisation as in clinical trials (Zelen, "The randomization and stratification of patients to
clinical trials", J. Chronic Diseases 27, 1974), with the labels as strata.
"""

from math import gcd

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.seeds import derive
from prunet.data.dataset import SPLITS

LEFT_OUT = len(SPLITS)  # the side of an image that is in none of the splits


def block_of(shares: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Return the sides of the smallest block with exact shares: (70, 20, 10) gives seven 0, two 1, one 2.

    Args:
        shares: percent of train, val and test, each at least 1.

    Raises:
        InputError: the shares do not sum to 100.
    """
    if sum(shares) != 100 or min(shares) < 1:
        raise InputError(
            f"The shares of train, val and test ({', '.join(map(str, shares))}) must be at least 1 percent "
            f"each and sum to 100, not {sum(shares)}."
        )
    common = gcd(*shares)
    return np.repeat(np.arange(3, dtype=np.uint8), [share // common for share in shares])


def side_of(label: str, place: int, block: NDArray[np.uint8], seed: int) -> int:
    """Return the side, an index into `SPLITS`, of the row at `place` (from 0) among a label's rows.

    Rows 0 to B-1 of a label have the sides of `block` (length B) in an order of their own, rows B to
    2B-1 in another. So every whole block has exact shares, and no row depends on any other.
    """
    number, position = divmod(place, len(block))
    order = np.random.default_rng(derive(seed, "faces", "split", label, number)).permutation(len(block))
    return int(block[order[position]])


def keep_together(
    hashes: NDArray[np.uint64], sides: NDArray[np.uint8], distance: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Give near-duplicates one side, so that no pair of them lies on two.

    In list order, an image joins the side of its near-duplicates among the earlier ones that were kept.
    If those lie on different sides, it is left out. Images that come later move none before them.

    Args:
        hashes: (N, K) K kinds of perceptual hashes of each image, in list order.
        sides: (N,) each image's own side, an index into `SPLITS`.
        distance: near-duplicates differ in at most this many of 64 bits, in one kind of hash or more.

    Returns:
        (N,) the sides, `LEFT_OUT` where an image is left out; (N,) whether the image has
        near-duplicates before it and joined them.
    """
    sides = sides.copy()
    joined = np.zeros(len(sides), dtype=bool)
    for i in range(len(sides)):
        near = (np.bitwise_count(hashes[:i] ^ hashes[i]) <= distance).any(axis=1)
        found = np.unique(sides[:i][near & (sides[:i] != LEFT_OUT)])
        if len(found) > 0:
            joined[i] = len(found) == 1
            sides[i] = found[0] if joined[i] else LEFT_OUT
    return sides, joined
