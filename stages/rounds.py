"""Command `rounds`: print the list `prune.rounds` of params.yaml for a number of rounds."""

import click

from prunet.config.pruning import rounds


@click.command()
@click.argument("last", type=click.IntRange(0, 99))
@click.option("--one-shot", is_flag=True, help="For prune.schedule: one-shot.")
def main(last: int, one_shot: bool) -> None:
    """Print the rounds 0 to LAST as `dvc exp run -S "prune.rounds=..."` takes them."""
    entries = rounds(last + 1, "one-shot" if one_shot else "iterative")
    click.echo("[" + ", ".join(f"{{n: '{entry['n']}', from: {entry['from']}}}" for entry in entries) + "]")


if __name__ == "__main__":
    main()
