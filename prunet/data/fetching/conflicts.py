"""Near-duplicates on a scraping list: conflicting labels of one picture, and repeats under one label."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prunet.data.listing.scraping import Row

MAX_DISTANCE = 4  # bits: near-duplicates differ in at most so many of the 64 bits of a perceptual hash


class Pair(NamedTuple):
    """Two rows with nearly the same picture; `bits` of their perceptual hashes differ."""

    row: Row
    earlier: Row
    same_bytes: bool
    bits: int


def find(rows: Sequence[Row], results: Mapping[str, Row]) -> tuple[list[Pair], list[Pair]]:
    """Pair each row with the most similar earlier row, if that is a near-duplicate.

    Args:
        rows: of the manifest, in order.
        results: of each url, from `fetch_all`.

    Returns:
        Pairs with different labels; and pairs with the same label, except those with the same bytes.
    """
    pictures = [row for row in rows if row["status"] in ("ok", "duplicate") and row["url"] in results]
    pictures = [row for row in pictures if results[row["url"]]["status"] == "ok"]
    hashes = np.array([int(results[row["url"]]["perceptual_hash"], 16) for row in pictures], dtype=np.uint64)
    labels = np.unique([row["label"] for row in pictures], return_inverse=True)[1]  # faster than the texts
    across: list[Pair] = []
    within: list[Pair] = []
    for i, row in enumerate(pictures):
        bits = np.bitwise_count(hashes[:i] ^ hashes[i])  # (i,) uint8
        for pairs, candidates in (across, labels[:i] != labels[i]), (within, labels[:i] == labels[i]):
            near = np.flatnonzero(candidates & (bits <= MAX_DISTANCE))
            if len(near) > 0:
                earlier = pictures[near[np.argmin(bits[near])]]
                same = results[row["url"]]["image"] == results[earlier["url"]]["image"]
                pairs.append(Pair(row, earlier, same, int(bits[near].min())))
    return across, [pair for pair in within if not pair.same_bytes]
