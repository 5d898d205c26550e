"""Conflicts: one picture under two labels, of which one is wrong, and near-duplicates under one label."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from prunet.data.listing.scraping import Row

NEAR = 4  # bits of the perceptual hash's 64: not more apart is a near-duplicate


class Pair(NamedTuple):
    """Two rows that show the same; `bits` of 64 differ between their perceptual hashes."""

    row: Row
    earlier: Row
    same_bytes: bool
    bits: int


def find(rows: Sequence[Row], results: Mapping[str, Row]) -> tuple[list[Pair], list[Pair]]:
    """Find the rows that look like an earlier one, each with the one that it resembles most.

    Args:
        rows: of the manifest, in order.
        results: for each url, as from `fetch_all`.

    Returns:
        Pairs with different labels; and pairs with the same label, without those of the same bytes.
    """
    pictures = [row for row in rows if row["status"] in ("ok", "duplicate") and row["url"] in results]
    pictures = [row for row in pictures if results[row["url"]]["status"] == "ok"]
    looks = np.array([int(results[row["url"]]["looks"], 16) for row in pictures], dtype=np.uint64)
    numbers = {label: number for number, label in enumerate(dict.fromkeys(row["label"] for row in pictures))}
    labels = np.array([numbers[row["label"]] for row in pictures], dtype=np.int64)
    across: list[Pair] = []
    within: list[Pair] = []
    for i, row in enumerate(pictures):
        bits = np.bitwise_count(looks[:i] ^ looks[i])  # (i,) uint8
        for pairs, candidates in (across, labels[:i] != labels[i]), (within, labels[:i] == labels[i]):
            near = np.flatnonzero(candidates & (bits <= NEAR))
            if len(near) > 0:
                earlier = pictures[near[np.argmin(bits[near])]]
                same = results[row["url"]]["image"] == results[earlier["url"]]["image"]
                pairs.append(Pair(row, earlier, same, int(bits[near].min())))
    return across, [pair for pair in within if not pair.same_bytes]
