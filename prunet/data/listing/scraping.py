"""Scraping list: the photos wanted under each label, and the outcome of every row."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from prunet.base.errors import InputError
from prunet.base.text import is_utf8, shown
from prunet.data.listing.spellings import normalised
from prunet.data.listing.statuses import STATUSES

MANIFEST = "manifest.csv"
REPORT = "report.md"
COUNTS = "counts.json"
COLUMNS = ("row", "label", "url", "status", "image", "detail")
MAX_LABEL = 64  # characters

Row = dict[str, str]


def screen(rows: Sequence[Mapping[str, str]]) -> list[Row]:
    """Turn the rows of `source.read_list` into rows of a manifest (`COLUMNS`), numbered from 1.

    Labels are `normalised`. The status is `bad-row`, `bad-label`, `duplicate` (an earlier row has the same
    label and url), or empty if the url is still to be fetched.
    """
    screened: list[Row] = []
    first: dict[tuple[str, str], int] = {}
    for number, row in enumerate(rows, start=1):
        label, url, problem = normalised(row["label"]), row["url"], row.get("problem", "")
        if problem and label_problem(label):
            label = ""  # what is left of a broken line
        status, detail = "", problem or label_problem(label)
        earlier = number if detail else first.setdefault((label, url), number)
        if detail:
            status = "bad-row" if problem else "bad-label"
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
    if not is_utf8(label):
        return "the label contains bytes that are not UTF-8"
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


def refuse(rows: Sequence[Row], source: Path, report: Path) -> NoReturn:
    """Raise the error of a list without any image.

    Raises:
        InputError: always; the message has the counts and examples of the three commonest reasons.
    """
    found = Counter(row["status"] for row in rows)
    counts = ", ".join(f"{number} {status}" for status, number in found.most_common())
    examples = (next(row for row in rows if row["status"] == status) for status, _ in found.most_common(3))
    reasons = "; ".join(f"row {row['row']}, {shown(row['url'])}: {row['detail']}" for row in examples)
    setting = " (set ingest.private_addresses to allow private addresses)" if found["refused"] else ""
    raise InputError(
        f"none of the {len(rows)} rows of {source} yielded an image ({counts}), for example {reasons}; "
        f"fix the rows{setting}, as {report} explains."
    )
