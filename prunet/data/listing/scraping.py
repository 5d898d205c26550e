"""Scraping list: the photos wanted under each label, and the outcome of every row."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from prunet.base.errors import InputError
from prunet.base.files import read_rows
from prunet.base.folders import walk
from prunet.data.listing.statuses import STATUSES

MANIFEST = "manifest.csv"
REPORT = "report.md"
COUNTS = "counts.json"
COLUMNS = ("row", "label", "url", "status", "image", "detail")
MAX_LABEL = 64  # characters

Row = dict[str, str]


def read_list(source: Path) -> list[Row]:
    """Read the rows (`label`, `url`) of a CSV list or of a folder tree `label/photo.jpg`.

    The rows of a tree are sorted by path; the url is the path relative to `source`. Names that start with a
    dot are skipped. A file outside all label folders gets an empty label.

    Raises:
        InputError: `source` does not exist, is not such a list, or has no rows.
    """
    if source.is_dir():
        rows = _tree_rows(source)
        if not rows:
            raise InputError(f"{source} contains no files; add pictures as label/photo.jpg.")
        return rows
    if not source.exists():
        raise InputError(
            f"{source} does not exist; give a CSV list with the header label,url, "
            "or a folder of pictures label/photo.jpg."
        )
    rows = [{"label": row["label"], "url": row["url"]} for row in read_rows(source, ("label", "url"))]
    if not rows:
        raise InputError(f"{source} has a header but no rows; add rows label,url to it.")
    return rows


def _tree_rows(folder: Path) -> list[Row]:
    paths = sorted(path.relative_to(folder) for path in walk(folder))
    return [{"label": path.parts[0] if len(path.parts) > 1 else "", "url": path.as_posix()} for path in paths]


def screen(rows: Sequence[Row]) -> list[Row]:
    """Turn the rows of a list into rows of a manifest (`COLUMNS`), numbered from 1.

    Labels are stripped and normalised to Unicode NFC. The status is `bad-label`, `duplicate` (an earlier row
    has the same label and url), or empty if the url is still to be fetched.
    """
    screened: list[Row] = []
    first: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, start=1):
        label, url = unicodedata.normalize("NFC", row["label"].strip()), row["url"].strip()
        status, detail = "", label_problem(label)
        earlier = first.setdefault((label, url), number)
        if detail:
            status = "bad-label"
        elif earlier < number:
            status, detail = "duplicate", f"same label and url as row {earlier}"
        screened.append(dict(zip(COLUMNS, (str(number), label, url, status, "", detail), strict=True)))
    return screened


def label_problem(label: str) -> str:
    """Explain why `label` cannot be the name of a folder; return an empty string if it can."""
    if not label:
        return "the label is empty"
    if len(label) > MAX_LABEL or len(os.fsencode(label)) > 255:
        return f"the label is longer than {MAX_LABEL} characters or 255 bytes"
    if "/" in label or "\\" in label or ".." in label or label.startswith("."):
        return "the label contains a slash or '..', or starts with a dot; it must be a plain name"
    if not label.isprintable():
        return "the label contains control characters or others that cannot be printed"
    if label.casefold().startswith((MANIFEST, REPORT, COUNTS)):
        return f"the label is reserved for an output file ({MANIFEST}, {REPORT} or {COUNTS})"
    return ""


def settle(rows: Sequence[Row], results: Mapping[str, Row]) -> None:
    """Fill in `status`, `image` and `detail` of every row whose status is empty.

    The first of several rows with the same bytes keeps the image; the others become `duplicate`.

    Args:
        rows: from `screen`; changed in place.
        results: `status` and `detail` of each url and, if the status is `ok`, its file name as `image`.
    """
    kept: dict[str, Row] = {}
    for row in rows:
        if row["status"]:
            continue
        result = results[row["url"]]
        row.update(status=result["status"], detail=result["detail"])
        if result["status"] == "ok":
            earlier = kept.setdefault(result["image"], row)
            if earlier is row:
                row["image"] = f"{row['label']}/{result['image']}"
            else:
                row.update(status="duplicate", detail=_same_bytes(row, earlier))


def _same_bytes(row: Row, earlier: Row) -> str:
    detail = f"same bytes as row {earlier['row']}"
    if row["label"] != earlier["label"]:
        detail += f", whose label is {earlier['label']!r}; one of the two labels is wrong"
    return detail


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Count all rows and the rows of each status, 0 included."""
    found = Counter(row["status"] for row in rows)
    return {"rows": len(rows), **{status: found[status] for status in STATUSES}}


def require_images(rows: Sequence[Row], source: Path) -> None:
    """Check that at least one row has an image.

    Raises:
        InputError: no row is `ok`; the message has the counts and examples of the three commonest reasons.
    """
    found = Counter(row["status"] for row in rows)
    if found["ok"]:
        return
    counts = ", ".join(f"{number} {status}" for status, number in found.most_common())
    examples = (next(row for row in rows if row["status"] == status) for status, _ in found.most_common(3))
    reasons = "; ".join(f"row {row['row']}, {row['url']!r}: {row['detail']}" for row in examples)
    raise InputError(
        f"none of the {len(rows)} rows of {source} yielded an image ({counts}); "
        f"fix the rows, for example {reasons}."
    )
