"""Outcomes of fault campaigns."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """Outcome of a campaign.

    Attributes:
        kind: kind of fault.
        cases: number of cases tried.
        problems: a sentence for each case in which something was lost.
        notes: other remarks.
    """

    kind: str
    cases: int
    problems: list[str]
    notes: list[str] = []  # noqa: RUF012 (a tuple's default; nobody appends to it)


HEADER = f"{'fault':<52}{'cases':>8}{'survived':>10}{'lost':>6}"


def row(outcome: Outcome) -> str:
    """Return an outcome as a row of the printed table, below `HEADER`."""
    lost = min(len(outcome.problems), outcome.cases)
    return f"{outcome.kind:<52}{outcome.cases:>8}{outcome.cases - lost:>10}{lost:>6}"
