"""Results for a person to read: a table on a terminal, whatever the names are."""

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width


def printable(text: str) -> str:
    """Write a name so that any terminal and any file can take it: what is no plain character is escaped.

    Names of files may hold line breaks, escape sequences, and bytes that are not UTF-8.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a header and a line for each row, in aligned columns, without those that are empty throughout.

    Args:
        columns: {heading: "<" or ">", how its cells are aligned}.
        rows: {heading: cell}; a missing one is empty.
    """
    lines = [{name: printable(str(row.get(name, ""))) for name in columns} for row in rows]
    filled = [name for name in columns if any(line[name] for line in lines)]
    lines = [{name: name for name in filled}, *lines]
    widths = {name: max(_width(line[name]) for line in lines) for name in filled}
    return ["  ".join(_padded(line[n], widths[n], columns[n]) for n in filled).rstrip() for line in lines]


def _padded(cell: str, width: int, side: str) -> str:
    room = " " * (width - _width(cell))
    return room + cell if side == ">" else cell + room


def _width(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
