"""Labels of a list that a person should look at."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from prunet.base.errors import InputError
from prunet.base.text import shown
from prunet.data.listing.spellings import alike

MAX_NAMES = 100  # of a sentence

Quote = Callable[[str], str]


class Findings(NamedTuple):
    """Labels that a person should look at, with numbers of rows or images."""

    left_out: dict[str, int]  # rows of each label with too few of them
    alike: list[dict[str, int]]  # rows of labels that may be one
    empty: dict[str, int]  # rows of each label that got no image
    few: dict[str, int]  # images of each label with some, but fewer than ingest.min_images


def leave_out(rows: Sequence[dict[str, str]], min_images: int, source: object) -> None:
    """Set the status of rows to `too-few` whose label has fewer than `min_images` rows to be fetched.

    Args:
        rows: from `scraping.screen`; changed in place.
        min_images: value of ingest.min_images; 0 leaves out nothing.
        source: the list, for messages.

    Raises:
        InputError: fewer than two labels would be left.
    """
    found = Counter(row["label"] for row in rows if not row["status"])
    kept = [label for label, count in found.items() if count >= min_images]
    if found and min_images and len(kept) < 2:
        raise InputError(
            f"{source}: a classifier needs two labels or more with at least {min_images} different rows "
            f"(ingest.min_images), but the list has {len(kept)}: {_names(dict(found.most_common()), shown)}; "
            "add rows, or lower ingest.min_images."
        )
    for row in rows:
        if not row["status"] and row["label"] not in kept:
            number = found[row["label"]]
            row.update(status="too-few", detail=f"rows of this label: {number} of at least {min_images}")


def find(rows: Sequence[Mapping[str, str]], min_images: int) -> Findings:
    """Find the labels that a person should look at, among the rows of a manifest."""
    listed = Counter(row["label"] for row in rows if row["label"] and row["status"] != "bad-label")
    left_out = Counter(row["label"] for row in rows if row["status"] == "too-few")
    images = Counter(row["label"] for row in rows if row["status"] == "ok")
    return Findings(
        left_out=dict(left_out),
        alike=alike(listed),
        empty={label: listed[label] for label in listed if label not in images and label not in left_out},
        few={label: count for label, count in images.items() if count < min_images},
    )


def list_warnings(found: Findings, min_images: int, quote: Quote = shown) -> list[str]:
    """Describe what is known before anything is fetched: `left_out` and `alike`."""
    groups = [" and ".join(_counted(group, quote)) for group in found.alike]
    return _sentences(
        (
            f"labels left out, which have fewer than {min_images} rows to fetch (ingest.min_images)",
            _names(found.left_out, quote),
            "Add rows, or lower ingest.min_images.",
        ),
        (
            "labels that differ only in case, accents, spaces or punctuation, with their rows",
            "; ".join(_first(groups)),
            "If they are one, give them one spelling in the list.",
        ),
    )


def image_warnings(found: Findings, min_images: int, quote: Quote = shown) -> list[str]:
    """Describe what is known once everything is fetched: `empty` and `few`."""
    return _sentences(
        (
            "labels that got no image, with their rows",
            _names(found.empty, quote),
            "The report gives the reasons.",
        ),
        (
            f"labels that got fewer than {min_images} images (ingest.min_images)",
            _names(found.few, quote),
            "They are kept; add rows, or data.min_images may leave them out.",
        ),
    )


def _sentences(*parts: tuple[str, str, str]) -> list[str]:
    return [f"{subject}: {names}. {advice}" for subject, names, advice in parts if names]


def _names(counts: Mapping[str, int], quote: Quote) -> str:
    return ", ".join(_first(_counted(counts, quote)))


def _counted(counts: Mapping[str, int], quote: Quote) -> list[str]:
    return [f"{quote(label)} ({count})" for label, count in counts.items()]


def _first(names: Sequence[str]) -> list[str]:
    more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    return [*names[:MAX_NAMES], *more]
