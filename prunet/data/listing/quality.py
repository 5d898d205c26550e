"""Checks of manifests: damage, which is an error, and labels that are probably wrong, which are findings."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.files import read_rows
from prunet.data.images.decoding import load_rgb
from prunet.data.listing.scraping import MANIFEST, label_problem

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left: on the left of the photo
# Columns of the manifests of crop and resize; ingest's are `scraping.COLUMNS`.
CROP_COLUMNS = (
    *("row", "place", "label", "image", "status", "detail", "photo", "photo_hash", "faces"),
    *("confidence", "x", "y", "width", "height"),
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
)
GRAY_COLUMNS = ("row", "place", "label", "image", "status", "detail", "crop", "photo_hash")
SEVERITIES = ("warn", "refuse")  # how findings are reported

NUMBER = re.compile(r"[0-9]{1,9}")
HASH = re.compile(r"[0-9a-f]{16}")
EARLIER = re.compile(r"row ([0-9]+)")
MAX_EXAMPLES = 3  # of a finding


def read_manifest(folder: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the manifest written by ingest, crop or resize, in the order of the list.

    The manifest may have been edited by hand. On return, images lie in `folder / label`, no two rows share
    one, and `row`, `place` and `photo_hash` are numbers.

    Raises:
        InputError: the manifest is missing, its columns are not `columns`, or a row breaks a guarantee.
    """
    path = folder / MANIFEST
    rows = read_rows(path, columns)
    for name in rows[0] if rows else ():
        if name not in columns:
            raise InputError(f"{path} has a column {name!r} that no stage wrote; remove it.")
    seen: set[PurePosixPath] = set()
    for number, row in enumerate(rows, start=1):
        problem = _problem(row)
        if not problem and row["status"] == "ok":
            image = PurePosixPath(row["image"]).with_suffix("")
            problem = f"its image {row['image']!r} also belongs to an earlier row" if image in seen else ""
            seen.add(image)
        if problem:
            raise InputError(
                f"{path}, row {number} below the header: {problem}; fix it or rerun the stage that writes it."
            )
    return sorted(rows, key=lambda row: int(row["row"]))


def _problem(row: Mapping[str, str]) -> str:
    """Describe what is wrong with a row of a manifest; return an empty string if nothing is."""
    for name in ("row", "place"):
        if name in row and not NUMBER.fullmatch(row[name]):
            return f"its {name} is {row[name]!r}, not a whole number"
    if row["status"] != "ok":
        return ""
    if problem := label_problem(row["label"]):
        return problem
    for name in ("image", "photo", "crop"):
        label, _, file = row.get(name, row["image"]).partition("/")
        if label != row["label"] or label_problem(file):
            return f"its {name} is {row[name]!r}, not a file in the folder {row['label']!r}"
    if "photo_hash" in row and not HASH.fullmatch(row["photo_hash"]):
        return f"its photo_hash is {row['photo_hash']!r}, not 16 hexadecimal digits"
    return ""


def accepted(rows: Sequence[dict[str, Any]], folder: Path, content: str, origin: str) -> list[dict[str, Any]]:
    """Return the rows with an image.

    Args:
        rows: of a manifest.
        folder: its folder.
        content: what the message calls an image of this folder.
        origin: what the message calls that which a row is about.

    Raises:
        InputError: no row has an image.
    """
    found = [row for row in rows if row["status"] == "ok"]
    if not found:
        raise InputError(
            f"{folder} has no {content}; {folder / MANIFEST} gives the reason for each {origin}."
        )
    return found


def read_gray(folder: Path, names: Sequence[str]) -> NDArray[np.uint8]:
    """Read the gray images (S, S) of a folder into one array (N, S, S).

    Raises:
        InputError: an image is missing, broken, coloured, or not the size of the first.
    """
    images: list[NDArray[np.uint8]] = []
    for name in names:
        image = load_rgb(folder / name)
        height, width = image.shape[:2]
        size = images[0].shape[0] if images else height
        if (height, width) != (size, size) or (image != image[..., :1]).any():
            raise InputError(
                f"{folder / name} is not a gray image of {size} x {size} pixels; rerun the stage resize."
            )
        images.append(image[..., 0])
    return np.stack(images)


def report(findings: Iterable[str], severity: str) -> None:
    """Print findings to stderr, one a line; `severity` is one of `SEVERITIES`.

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


def too_few(labels: Sequence[str], min_faces: int) -> str:
    """Find people with fewer than `min_faces` faces, given the label of every face."""
    few = [f"{label} ({count})" for label, count in sorted(Counter(labels).items()) if count < min_faces]
    return _sentence(
        few,
        ("person has", "people have"),
        f"fewer than {min_faces} faces",
        "List more photos of them, or leave them out.",
    )


def look_alike(hashes: NDArray[np.uint64], labels: Sequence[str], names: Sequence[str], distance: int) -> str:
    """Find near-duplicates with different labels.

    Args:
        hashes: (N, K), K kinds of perceptual hashes of each image.
        labels: N, the person on each image.
        names: N, the file name of each image.
        distance: near-duplicates differ in at most this many of 64 bits, in at least one kind of hash.
    """
    people = np.array(labels)
    pairs = []
    for i, name in enumerate(names):
        near = (np.bitwise_count(hashes[:i] ^ hashes[i]) <= distance).any(axis=1)
        pairs += [f"{names[int(j)]} and {name}" for j in np.flatnonzero(near & (people[:i] != people[i]))]
    return _sentence(
        pairs,
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
