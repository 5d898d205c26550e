"""Command-line arguments that the stages share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from prunet.base.files import read_json

Command = TypeVar("Command", bound=Callable[..., Any])


def _read(context: click.Context, parameter: click.Parameter, path: Path) -> Any:
    return read_json(path)


# The stage's own parameters, validated: a JSON file below data/params, written by the stage `check`.
PARAMS = click.argument("params", type=click.Path(path_type=Path), callback=_read)
CHECKPOINTS = click.option(
    "--checkpoints",
    type=click.Path(path_type=Path),
    default=".checkpoints",
    show_default=True,
    envvar="PRUNET_CHECKPOINTS",
    show_envvar=True,
    help="Folder for the checkpoints of unfinished training, and for finished cells that can be reused.",
)


def paths(*names: str) -> Callable[[Command], Command]:
    """Return a decorator that adds arguments with these names, a path each, to a command."""

    def add(command: Command) -> Command:
        for name in reversed(names):  # as decorators apply, the last argument first
            command = click.argument(name, type=click.Path(path_type=Path))(command)
        return command

    return add
