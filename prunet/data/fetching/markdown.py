"""Markdown tables and code spans that are safe for untrusted text."""

from collections.abc import Sequence

from prunet.base.text import readable

MAX_LINES = 50  # of a table


def table(title: str, advice: str, columns: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    """Format a section with a table of at most `MAX_LINES` lines; return an empty string if it has none."""
    if not lines:
        return ""
    rows = [
        f"| {' | '.join(map(str, line))} |" for line in (columns, ["---"] * len(columns), *lines[:MAX_LINES])
    ]
    more = f"\n\nAnd {len(lines) - MAX_LINES} more." if len(lines) > MAX_LINES else ""
    return f"## {title}\n\n" + (f"{advice}\n\n" if advice else "") + "\n".join(rows) + more


def code(text: str) -> str:
    """Quote untrusted text as a code span, without markup, line breaks or invisible characters."""
    line = readable(text)
    return f"`{line.replace('`', chr(39)).replace('|', chr(92) + '|')}`" if line.strip() else "(empty)"
