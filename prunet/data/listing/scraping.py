"""Scraping lists: which pictures are wanted under which label, and what became of each row."""

import os
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from prunet.base.errors import InputError
from prunet.base.files import read_rows

# What may become of a row; prunet.data.fetching.report says what to do about each.
STATUSES = (
    "ok",  # it has an image; with a detail if the address does not give that image any more
    "duplicate",  # the same label and url, or the same bytes, as an earlier row
    "http-error",  # the server answered another status than 200, or packed the file unasked
    "timeout",  # no full answer in time: name server, connection, TLS, header and body together
    "unreachable",  # no such host, no connection, no valid answer, a certificate of another
    "refused",  # the address, or one that it redirects to, is not on the public internet
    "redirects",  # too many, in a circle, or to what is no http or https address
    "too-large",  # bytes, packed or unpacked, or pixels, or passes over them
    "too-small",
    "not-an-image",
    "broken-image",  # cut off, damaged, or too much for the decoder
    "missing-file",
    "bad-label",
    "bad-url",
)
MANIFEST = "manifest.csv"
REPORT = "report.md"
COLUMNS = ("row", "label", "url", "status", "image", "detail")
MAX_LABEL = 64

Row = dict[str, str]


def read_list(source: Path) -> list[Row]:
    """Read the rows (`label`, `url`) of a CSV list, or of a folder tree `label/photo.jpg`.

    A tree's rows are in sorted path order, with the path below `source` as the url; names that
    start with a dot are left out, and a file that lies in no label's folder has an empty label.

    Raises:
        InputError: `source` does not exist, is not such a list, or has no rows.
    """
    if source.is_dir():
        rows = _tree_rows(source)
        if not rows:
            raise InputError(f"{source} holds no files: put pictures there as label/photo.jpg.")
        return rows
    if not source.exists():
        raise InputError(
            f"{source} does not exist: give a CSV list with the header label,url, "
            "or a folder of pictures label/photo.jpg."
        )
    rows = [{"label": row["label"], "url": row["url"]} for row in read_rows(source, ("label", "url"))]
    if not rows:
        raise InputError(f"{source} has a header but no rows: add rows label,url to it.")
    return rows


def _tree_rows(folder: Path) -> list[Row]:
    paths = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        here = Path(parent).relative_to(folder)
        links = [name for name in folders if (folder / here / name).is_symlink()]  # not walked: keep as rows
        paths += [here / name for name in names + links if not name.startswith(".")]
        folders[:] = [name for name in folders if not name.startswith(".")]
    return [
        {"label": path.parts[0] if len(path.parts) > 1 else "", "url": path.as_posix()}
        for path in sorted(paths)
    ]


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}): mend its permissions.")


def screen(rows: Sequence[Row]) -> list[Row]:
    """Turn the rows of a list into the rows of a manifest (`COLUMNS`), numbered from 1.

    Labels are stripped and brought to Unicode's NFC form. The status of a row is `bad-label`,
    `duplicate` (an earlier row has the same label and url) or, if its url is to be fetched, empty.
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
            status, detail = "duplicate", f"the same label and url as row {earlier}"
        values = (str(number), label, url, status, "", detail)
        screened.append(dict(zip(COLUMNS, values, strict=True)))
    return screened


def label_problem(label: str) -> str:
    """Say why `label` cannot be the name of a folder; empty if it can."""
    if not label:
        return "the label is empty"
    if len(label) > MAX_LABEL or len(os.fsencode(label)) > 255:
        return f"the label is longer than {MAX_LABEL} characters or 255 bytes"
    if "/" in label or "\\" in label or ".." in label or label.startswith("."):
        return "the label has a slash or '..' in it, or starts with a dot: it must be a plain name"
    if not label.isprintable():
        return "the label has control characters or others that cannot be printed"
    if label.casefold().startswith((MANIFEST, REPORT)):
        return f"the label is the name of a file of the output, {MANIFEST} or {REPORT}"
    return ""


def settle(rows: Sequence[Row], results: Mapping[str, Row]) -> None:
    """Fill in `status`, `image` and `detail` of every row of which the status is empty.

    Of rows with the same bytes the earliest keeps the image; the others are `duplicate`.

    Args:
        rows: from `screen`; changed in place.
        results: for each url its `status` and `detail` and, if the status is `ok`, its file-name as `image`.
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
    detail = f"the same bytes as row {earlier['row']}"
    if row["label"] != earlier["label"]:
        detail += f", which has another label, {earlier['label']!r}: one of the two labels is wrong"
    return detail


def count(rows: Sequence[Row]) -> dict[str, int]:
    """Count the rows, in all and by status; a status that no row has counts 0."""
    found = Counter(row["status"] for row in rows)
    return {"rows": len(rows), **{status: found[status] for status in STATUSES}}


def require_images(rows: Sequence[Row], source: Path) -> None:
    """Check that there is an image.

    Raises:
        InputError: not one row is `ok`; with the counts, and examples of the three commonest reasons.
    """
    found = Counter(row["status"] for row in rows)
    if found["ok"]:
        return
    counts = ", ".join(f"{number} {status}" for status, number in found.most_common())
    examples = (next(row for row in rows if row["status"] == status) for status, _ in found.most_common(3))
    reasons = "; ".join(f"row {row['row']}, {row['url']!r}: {row['detail']}" for row in examples)
    raise InputError(
        f"none of the {len(rows)} rows of {source} gave an image ({counts}): "
        f"mend them, for example {reasons}."
    )
