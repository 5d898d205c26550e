"""Output of the recognition commands: an aligned table on the terminal, and optionally CSV and JSON files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from unicodedata import east_asian_width

import click

_FILE = click.Path(path_type=Path, dir_okay=False)

CSV = click.option("--csv", "csv_file", type=_FILE, help="Write the results to this CSV file.")
JSON = click.option("--json", "json_file", type=_FILE, help="Write the results to this JSON file.")
NETWORK = click.option(
    "--network",
    metavar="MODEL",
    help="The ticket's network, such as networks/mine.py:net, if it is not built in. Its code runs.",
)


def printable(text: str) -> str:
    """Escape whatever a terminal or a text file cannot show.

    File names may contain line breaks, terminal escape sequences and bytes that are not UTF-8.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def format_table(columns: Mapping[str, str], rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a header and one line for each row, aligned, without the columns that are empty in every row.

    Args:
        columns: {heading: "<" or ">"}, the alignment of its cells.
        rows: {heading: cell}; a missing cell is empty.
    """
    lines = [{name: printable(str(row.get(name, ""))) for name in columns} for row in rows]
    filled = [name for name in columns if any(line[name] for line in lines)]
    lines = [{name: name for name in filled}, *lines]
    widths = {name: max(_width(line[name]) for line in lines) for name in filled}
    return ["  ".join(_padded(line[n], widths[n], columns[n]) for n in filled).rstrip() for line in lines]


def _padded(cell: str, width: int, alignment: str) -> str:
    padding = " " * (width - _width(cell))
    return padding + cell if alignment == ">" else cell + padding


def _width(text: str) -> int:
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
