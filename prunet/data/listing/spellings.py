"""Spellings of labels: one for what looks the same, and groups of those that are close."""

import unicodedata
from collections import defaultdict
from collections.abc import Mapping

# Invisible, and common in copied text: soft hyphen, zero-width characters, marks of direction.
INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
ACCENTS = dict.fromkeys(range(0x300, 0x370))
SEPARATORS = ("Zs", "Pd", "Pc")  # categories of Unicode: spaces, dashes, underscores
MARKS = "'`.\u2018\u2019"  # apostrophes, straight and curly, and dots


def normalised(label: str) -> str:
    """Return `label` in Unicode NFC, without invisible characters, with single spaces between words."""
    return unicodedata.normalize("NFC", " ".join(label.translate(INVISIBLE).split()))


def alike(counts: Mapping[str, int]) -> list[dict[str, int]]:
    """Group labels that differ only in case, accents, spaces, dashes, underscores, dots and apostrophes.

    Args:
        counts: number of rows of each label.

    Returns:
        The labels and rows of each group of two or more, most rows first.
    """
    groups: dict[str, dict[str, int]] = defaultdict(dict)
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        groups[_skeleton(label)][label] = counts[label]
    return [group for group in groups.values() if len(group) > 1]


def _skeleton(label: str) -> str:
    plain = unicodedata.normalize("NFKD", label).translate(ACCENTS).casefold()
    letters = [one for one in plain if unicodedata.category(one) not in SEPARATORS and one not in MARKS]
    return "".join(letters) or label
