"""Stage `claims`: published claims beside the measured values. Optional."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import claims
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import results


@click.command()
@PARAMS
@paths("models", "output")
def main(params: dict[str, Any], models: Path, output: Path) -> None:
    """Write OUTPUT, a CSV with a row for each published claim, from the cells below MODELS of one study."""
    measured = results.read_study(models, params["schemes"], params["rounds"])
    tables.write(output, claims.table(params["published"], measured))


if __name__ == "__main__":
    run_and_exit(main)
