"""Command-line arguments that the stages share."""

from pathlib import Path
from typing import Any

import click

from prunet.base.files import read_json


def _read(context: click.Context, parameter: click.Parameter, path: Path) -> Any:
    return read_json(path)


# The stage's own parameters, validated: a JSON file below data/params, written by the stage `check`.
PARAMS = click.argument("params", type=click.Path(path_type=Path), callback=_read)
CHECKPOINTS = click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    default=".checkpoints",
    show_default=True,
    help="Folder for the checkpoints of unfinished training, and for finished cells that can be reused.",
)
