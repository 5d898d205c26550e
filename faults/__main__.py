"""Run the fault campaigns: `python -m faults`. Exits with code 1 if anything was lost."""

import traceback
from collections.abc import Callable

import click

from faults import clocks, damage, decoders, full_disk, hostile_web, kills, outcomes, places, together

# Each campaign with its default number of cases: minutes to tens of minutes each, about an hour together.
CAMPAIGNS: dict[str, tuple[Callable[[int], outcomes.Outcome], int]] = {
    "decoders": (decoders.campaign, 100_000),
    "damage": (damage.campaign, 2_000),
    "places": (places.campaign, 300),
    "hostile_web": (hostile_web.campaign, 10_000),
    "clocks": (clocks.campaign, 3),
    "together": (together.campaign, 3),
    "full_disk": (full_disk.campaign, 20),
    "kills": (kills.campaign, 50),
}


@click.command()
@click.option(
    "--only", type=click.Choice(list(CAMPAIGNS)), multiple=True, help="Run only this campaign; repeatable."
)
@click.option("--cases", type=click.IntRange(1), help="Number of cases.  [default: each campaign's own]")
def main(only: tuple[str, ...], cases: int | None) -> None:
    """Expose the pipeline and its parts to faults; print how many cases survived and how many were lost."""
    lost = False
    click.echo(outcomes.HEADER)
    for name in only or CAMPAIGNS:
        campaign, usual = CAMPAIGNS[name]
        try:
            outcome = campaign(cases or usual)
        except Exception as error:  # the other campaigns still run
            traceback.print_exc()
            outcome = outcomes.Outcome(f"{name} (did not finish)", 0, [repr(error)])
        for line in [*outcome.problems, *outcome.notes]:
            click.echo(f"{name}: {line}", err=True)
        click.echo(outcomes.row(outcome))
        lost |= bool(outcome.problems)
    if lost:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
