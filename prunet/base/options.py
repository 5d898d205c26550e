"""Options that several stages share."""

from pathlib import Path

import click

# DVC spells `min_size` of params.yaml `--min_size`; a person types `--min-size`.
UNDERSCORES = {"token_normalize_func": lambda name: name.replace("_", "-")}

PARAMS = click.option(
    "--params", "params_file", type=click.Path(path_type=Path), default="params.yaml", show_default=True
)
STUDY = click.option("--study", "name", required=True, help="A key of `studies` in the params file.")
UNFINISHED = click.option(
    "--unfinished",
    type=click.Path(path_type=Path),
    default=".unfinished",
    show_default=True,
    help="Folder for the checkpoints of a training that is not finished.",
)
