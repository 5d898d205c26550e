"""Stage `check`: refuse wrong values of params.yaml before anything runs."""

from pathlib import Path

import click

from prunet.base import files
from prunet.config import params


@click.command()
@click.argument("params_file", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(params_file: Path, output: Path) -> None:
    """Check every value of PARAMS_FILE; name the wrong ones and exit with code 2.

    OUTPUT says the same for every right PARAMS_FILE: the stages that depend on it wait for the check, but
    do not run again because another knob was turned.
    """
    params.load(params_file)
    files.write_json(output, {"params": "valid"})


if __name__ == "__main__":
    main()
