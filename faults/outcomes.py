"""What a campaign found."""

from typing import NamedTuple


class Outcome(NamedTuple):
    """What became of a campaign.

    Attributes:
        kind: the kind of fault.
        cases: how many were tried.
        problems: a sentence for each that was not survived, so that something was lost.
        notes: what else is worth saying.
    """

    kind: str
    cases: int
    problems: list[str]
    notes: list[str] = []  # noqa: RUF012 (a tuple's default; nobody appends to it)


HEADER = f"{'fault':<52}{'cases':>8}{'survived':>10}{'lost':>6}"


def row(outcome: Outcome) -> str:
    """Return an outcome's row of the table that a person reads, below `HEADER`."""
    lost = min(len(outcome.problems), outcome.cases)
    return f"{outcome.kind:<52}{outcome.cases:>8}{outcome.cases - lost:>10}{lost:>6}"
