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


def table(outcomes: list[Outcome]) -> str:
    """Return the table that a person reads: kind of fault, cases tried, survived, lost."""
    lines = [f"{'fault':<52}{'cases':>8}{'survived':>10}{'lost':>6}"]
    for kind, cases, problems, _ in outcomes:
        lost = min(len(problems), cases)
        lines.append(f"{kind:<52}{cases:>8}{cases - lost:>10}{lost:>6}")
    return "\n".join(lines)
