"""Run the campaigns of faults: `python -m faults`. Exits with 1 if anything was lost."""

import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path

import click

from faults import (
    clocks,
    damage,
    decoders,
    full_disk,
    hostile_web,
    kills,
    outcomes,
    places,
    together,
)


def web(cases: int) -> outcomes.Outcome:
    """Run the campaign of the hostile web."""
    with tempfile.TemporaryDirectory() as folder:
        found = hostile_web.campaign(Path(folder), cases)
    more = found["lost"] - len(found["examples"])
    problems = [*found["problems"], *found["examples"], *["another row is wrong"] * more]
    return outcomes.Outcome("a hostile web, through the stage ingest", found["cases"], problems)


# What each does is said where it is defined. From minutes to tens of minutes, all of them about an hour.
CAMPAIGNS: dict[str, tuple[Callable[[int], outcomes.Outcome], int]] = {
    "decoders": (decoders.campaign, 100_000),
    "damage": (damage.campaign, 2_000),
    "places": (places.campaign, 300),
    "hostile_web": (web, 10_000),
    "clocks": (clocks.campaign, 3),
    "together": (together.campaign, 3),
    "full_disk": (full_disk.campaign, 20),
    "kills": (kills.campaign, 50),
}


@click.command()
@click.option(
    "--only", type=click.Choice(list(CAMPAIGNS)), multiple=True, help="These alone; may be repeated."
)
@click.option(
    "--cases", type=click.IntRange(1), help="How many of each.  [default: what each is meant to have]"
)
def main(only: tuple[str, ...], cases: int | None) -> None:
    """Do to the pipeline and its parts what a bad day does, and print what was survived and what was lost."""
    lost = False
    click.echo(outcomes.HEADER)
    for name in only or CAMPAIGNS:
        campaign, usual = CAMPAIGNS[name]
        try:
            outcome = campaign(cases or usual)
        except Exception as error:  # the others are still worth their hour
            traceback.print_exc()
            outcome = outcomes.Outcome(f"{name} (did not end)", 0, [repr(error)])
        for line in [*outcome.problems, *outcome.notes]:
            click.echo(f"{name}: {line}", err=True)
        click.echo(outcomes.row(outcome))
        lost |= bool(outcome.problems)
    if lost:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
