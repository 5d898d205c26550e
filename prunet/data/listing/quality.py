"""Labels of photos and faces that are probably wrong: findings, which are warnings or errors."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.hashing import near_pairs
from prunet.data.listing.spellings import alike

EARLIER = re.compile(r"row ([0-9]+)")
MAX_EXAMPLES = 3  # of a finding
MAX_NAMES = 100  # of a list that should name everything


def report(findings: Iterable[str], severity: str) -> None:
    """Print findings to stderr, one a line; `severity` is `warn` or `refuse`.

    Args:
        findings: sentences; empty ones are ignored.

    Raises:
        InputError: there is a finding and `severity` is refuse.
    """
    findings = [finding for finding in findings if finding]
    if findings and severity == "refuse":
        raise InputError(f"{' '.join(findings)} Set `doubtful: warn` to make this a warning.")
    for finding in findings:
        click.echo(f"warning: {finding}", err=True)


def listed_twice(rows: Sequence[Mapping[str, Any]]) -> str:
    """Find photos listed for two people: duplicates, in ingest's manifest, of a row with another label."""
    labels = {row["row"]: row["label"] for row in rows}
    pairs = []
    for row in rows:
        earlier = EARLIER.search(row["detail"]) if row["status"] == "duplicate" else None
        if earlier and (label := labels.get(earlier[1], row["label"])) != row["label"]:
            pairs.append(f"{label} in row {earlier[1]} and {row['label']} in row {row['row']}")
    return _sentence(
        pairs,
        ("photo is", "photos are"),
        "listed for two people",
        "Remove the wrong row of each pair from the list.",
    )


def mostly_rejected(results: Sequence[Mapping[str, Any]], min_accepted: float) -> str:
    """Find people with a usable face in less than the share `min_accepted` (0 to 1) of photos, or in none."""
    photos = Counter(result["label"] for result in results)
    faces = Counter(result["label"] for result in results if result["status"] == "ok")
    few = [
        f"{label} ({faces[label]} of {count} photos)"
        for label, count in photos.items()
        if faces[label] < min_accepted * count or faces[label] == 0
    ]
    return _sentence(
        few,
        ("person has", "people have"),
        f"too few photos with a usable face (none, or less than {min_accepted:.0%})",
        "List better photos of them, or leave them out.",
    )


def rare(counts: Mapping[str, int], min_images: int, folder: Path) -> dict[str, int]:
    """Return the classes with fewer than `min_images` images.

    Args:
        counts: number of images of each class.
        min_images: value of data.min_images.
        folder: folder of the images, for messages.

    Raises:
        InputError: fewer than two classes have enough images.
    """
    few = {name: counts[name] for name in sorted(counts) if counts[name] < min_images}
    if len(counts) - len(few) < 2:
        raise InputError(
            f"{folder}: a classifier needs at least two classes, but "
            + (few_images(few, min_images) or f"there is only {all_of(counts)}.")
        )
    return few


def few_images(few: Mapping[str, int], min_images: int) -> str:
    """Describe the classes that `rare` found."""
    if not few:
        return ""
    return (
        f"data.min_images, {min_images}, leaves out {len(few)} {'class' if len(few) == 1 else 'classes'}: "
        f"{all_of(few)}. Add images of {'it' if len(few) == 1 else 'them'}, or lower data.min_images."
    )


def all_of(counts: Mapping[str, int]) -> str:
    """List names with their counts: "ada (3), boris (1)"; a very long list is cut off."""
    items = [f"{name} ({count})" for name, count in counts.items()]
    more = f" and {len(items) - MAX_NAMES} more" if len(items) > MAX_NAMES else ""
    return ", ".join(items[:MAX_NAMES]) + more


def similar_names(counts: Mapping[str, int]) -> str:
    """Find classes whose names differ only in case, accents, spaces or punctuation."""
    return _sentence(
        [" and ".join(f"{name} ({count})" for name, count in group.items()) for group in alike(counts)],
        ("group of class names differs", "groups of class names differ"),
        "only in case, accents, spaces or punctuation",
        "If they are one class, give their folders one name.",
    )


def in_two_parts(names: Sequence[str], split: NDArray[np.uint8], picture: NDArray[np.int64]) -> str:
    """Find images whose picture is on a later side of the split too, test being the last.

    Args:
        names: N, the file name of each image.
        split: (N,) index of each image's side.
        picture: (N,) number of each image's picture.
    """
    last: dict[int, int] = {}  # the image of each picture on the last side
    for i in np.argsort(-split.astype(int), kind="stable").tolist():
        last.setdefault(int(picture[i]), i)
    pairs = [(i, last[number]) for i, number in enumerate(picture.tolist())]
    return _sentence(
        [f"{names[i]} of {names[j]}" for i, j in pairs if split[i] < split[j]],
        ("image is a copy, left out,", "images are copies, left out,"),
        "of images in a part of the folder that must not know them",
        "Remove the copies to silence this.",
    )


def in_two_classes(names: Sequence[str], labels: Sequence[int], picture: NDArray[np.int64]) -> str:
    """Find pictures of two classes; the arguments are as in `in_two_parts`, and the label of each image."""
    pairs = [
        f"{names[first]} and {names[i]}"
        for i, first in enumerate(picture.tolist())
        if labels[i] != labels[first]
    ]
    return _sentence(
        pairs,
        ("picture is", "pictures are"),
        "in two classes",
        "Move the wrong file of each pair elsewhere.",
    )


def look_alike(hashes: NDArray[np.uint64], labels: Sequence[str], names: Sequence[str], distance: int) -> str:
    """Find near-duplicates with different labels.

    Args:
        hashes, distance: as in `near_pairs`.
        labels: N, the person on each image.
        names: N, the file name of each image.
    """
    near = near_pairs(hashes, distance).tolist()
    return _sentence(
        [f"{names[i]} and {names[j]}" for i, j in near if labels[i] != labels[j]],
        ("pair of images of different people differs", "pairs of images of different people differ"),
        f"in at most {distance} of the 64 bits of a perceptual hash",
        "Add the wrong image of each pair to the exclude list.",
    )


def _sentence(items: Sequence[str], subjects: tuple[str, str], predicate: str, advice: str) -> str:
    """Count the items, list the first few, and give advice; return an empty string if there are none."""
    if not items:
        return ""
    more = f" and {len(items) - MAX_EXAMPLES} more" if len(items) > MAX_EXAMPLES else ""
    subject = f"{len(items)} {subjects[len(items) > 1]}"
    return f"{subject} {predicate}: {', '.join(items[:MAX_EXAMPLES])}{more}. {advice}"
