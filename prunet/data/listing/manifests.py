"""Manifests: one row for each row of the scraping list, written by ingest, crop and resize."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from prunet.base.errors import InputError
from prunet.base.files import read_rows
from prunet.data.listing.scraping import MANIFEST, label_problem

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left: on the left of the photo
BOX = ("confidence", "x", "y", "width", "height")  # of a face; all but the first in pixels of its photo
# Columns of the manifests of crop and resize; ingest's are `scraping.COLUMNS`.
CROP_COLUMNS = (
    *("row", "place", "label", "image", "status", "detail", "photo", "photo_hash"),
    # faces: all that were detected; usable: those of them that `crop` would keep if they were alone; doubt:
    # distance of the face's embedding from the centre of its label's other faces, empty without embeddings
    *("faces", "usable", "doubt"),
    *BOX,
    *(f"{name}_{axis}" for name in LANDMARKS for axis in "xy"),
)
GRAY_COLUMNS = (
    *("row", "place", "label", "image", "status", "detail", "crop", "photo_hash"),
    *("doubt_score", "doubt_reasons"),  # of the table of doubts (`prunet.data.faces.doubts`)
)

NUMBER = re.compile(r"[0-9]{1,9}")
DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
SIGNED = re.compile(rf"-?{DECIMAL.pattern}")
HASH = re.compile(r"[0-9a-f]{16}")


def read_manifest(folder: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the manifest written by ingest, crop or resize, in the order of the list.

    The manifest may have been edited by hand. On return, images lie in `folder / label`, no two rows share
    one, and `row`, `place`, `usable`, `BOX`, `photo_hash`, `doubt_score` and a `doubt` that is not empty are
    numbers.

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
    for name in ("row", "place", "usable"):
        if name in row and not NUMBER.fullmatch(row[name]):
            return f"its {name} is {row[name]!r}, not a whole number"
    for name, value in (("doubt", row.get("doubt") or "0"), ("doubt_score", row.get("doubt_score", "0"))):
        if not DECIMAL.fullmatch(value):
            return f"its {name} is {value!r}, not a number of 0 or more"
    if row["status"] != "ok":
        return ""
    if problem := label_problem(row["label"]):
        return problem
    for name in ("image", "photo", "crop"):
        folder, _, file = row.get(name, row["image"]).partition("/")
        moved = name == "crop" and not label_problem(folder)  # the face, from the person of that folder
        if label_problem(file) or not (moved or folder == row["label"]):
            return f"its {name} is {row[name]!r}, not a file in the folder {row['label']!r}"
    for name in BOX:
        if name in row and not SIGNED.fullmatch(row[name]):
            return f"its {name} is {row[name]!r}, not a number"
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
