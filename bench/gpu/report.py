"""Numbers of the GPU benchmark, and their table."""

from collections.abc import Iterable
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One number.

    Attributes:
        name: what was measured, with its unit.
        value: the number; None where it could not be measured.
        at_least, at_most: the target, or None.
        note: a few words for the reader.
    """

    name: str
    value: float | None
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """The target and whether the number meets it; empty without a target."""
        if self.at_least is None and self.at_most is None:
            return ""
        target = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        if self.value is None:
            return f"{target}: not measured"
        met = self.value >= (self.at_least or 0) and (self.at_most is None or self.value <= self.at_most)
        return f"{target}: {'met' if met else 'missed'}"


def table(device: str, rows: Iterable[dict[str, Any]]) -> str:
    """Format the rows of all parts, each with the name of its `part`."""
    lines = [device, f"{'part':32}{'result':62}{'value':>10}  target"]
    before = None
    for fields in rows:
        row = Row(**{name: fields[name] for name in Row._fields})
        part = fields["part"] if fields["part"] != before else ""
        value = "-" if row.value is None else f"{row.value:.4g}"
        rest = "; ".join(text for text in (row.verdict, row.note) if text)
        lines.append(f"{part:32}{row.name:62}{value:>10}  {rest}".rstrip())
        before = fields["part"]
    return "\n".join(lines)
