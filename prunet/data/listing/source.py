"""Rows of a source of photos: a CSV list, or a folder of label/photo.jpg."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from prunet.base.errors import InputError
from prunet.base.files import LONGEST_FIELD, check_header, reading
from prunet.base.folders import walk
from prunet.base.text import is_utf8

COLUMNS = ("label", "url")
MAX_LINES = 100  # of one row
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
QUOTES = "a quotation mark is missing, or there is one too many"

Listed = dict[str, str]  # `label` and `url`; `problem` says why the row cannot be read, or is empty


def read_list(source: Path) -> list[Listed]:
    """Read the rows of a CSV list or of a folder tree `label/photo.jpg`.

    A line of a list that is not two values, or has a quotation mark too many or too few, is a row with a
    problem, and the lines after it are read. Bytes that are not UTF-8 become lone surrogates
    (`surrogateescape`).

    The rows of a tree are sorted by path; the url is the path relative to `source`. Names that start with a
    dot are skipped, and links to folders followed. A file outside all label folders gets an empty label.

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
    rows = _csv_rows(source)
    if not rows:
        raise InputError(f"{source} has a header but no rows; add rows label,url to it.")
    return rows


def _csv_rows(path: Path) -> list[Listed]:
    with reading(path):
        text = path.read_bytes().decode("utf-8-sig", "surrogateescape")
    lines = list(io.StringIO(text, newline=""))
    header, start, problem = _record(lines[:MAX_LINES], ())
    if problem or not is_utf8("".join(header)):
        raise InputError(f"{path}, line 1: {problem or 'not UTF-8 text'}; save the list as CSV in UTF-8.")
    check_header(path, header, COLUMNS)
    rows = []
    while start < len(lines):
        values, used, problem = _record(lines[start : start + MAX_LINES], header)
        if values:
            found = dict(zip(header, values, strict=False))
            row = {name: found.get(name, "").strip() for name in COLUMNS}
            rows.append(row | {"problem": problem and f"line {start + 1} of the list: {problem}"})
        start += used
    return rows


def _record(lines: Sequence[str], header: Sequence[str]) -> tuple[list[str], int, str]:
    """Return the values of the record that `lines` begin with, its number of lines, and its problem.

    A record whose quotation marks are wrong ends with its first line, so that it takes no others with it.
    """
    csv.field_size_limit(LONGEST_FIELD)
    reader = csv.reader(lines, strict=True)
    values: list[str] | None
    try:
        values = next(reader, [])
    except csv.Error:
        values = None
    wanted = [value.strip() for name, value in zip(header, values or (), strict=False) if name in COLUMNS]
    if values is None or any("\n" in value or "\r" in value for value in wanted):
        return [value.strip('" \r\n') for value in lines[0].split(",")], 1, QUOTES
    if header and values and len(values) != len(header):
        counts = f"{len(values)} values, not {len(header)}"
        return values, reader.line_num, f"{counts}; put a value that contains a comma in double quotes"
    return values, reader.line_num, ""


def _tree_rows(folder: Path) -> list[Listed]:
    rows = []
    for path in sorted(walk(folder)):
        name = path.relative_to(folder)
        linked = path.is_dir()
        label = name.parts[0] if linked or len(name.parts) > 1 else ""
        url = name.as_posix()
        url = f"./{url}" if SCHEME.match(url) else url  # a path, not an address
        problem = "a link to a folder that is read under another name, or that it lies in" if linked else ""
        rows.append({"label": label, "url": url, "problem": problem})
    return rows
