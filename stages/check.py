"""Stage `check`: validate params.yaml and give every stage its own parameters."""

import shutil
from pathlib import Path
from typing import Any

import click

from prunet.base import files
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.config import params


@click.command()
@paths("params_file", "models", "output")
def main(params_file: Path, models: Path, output: Path) -> None:
    """Validate every value of PARAMS_FILE; list the wrong ones and exit with code 2.

    Writes the folder OUTPUT, one JSON file for each stage with the parameters that it depends on: a stage
    runs again when these change. Removes from MODELS the rounds and schemes that the file no longer has, so
    that stages which depend on a whole folder find there what the parameters say; DVC's cache keeps them.
    """
    values = params.load(params_file)
    with files.replacing(output) as partial:
        partial.mkdir()
        for name, found in params.stage_params(values).items():
            files.write_json(partial / f"{name}.json", found)
    for name in values["studies"]:
        remove_stale(models / name, values["prune"])


def remove_stale(study: Path, prune: dict[str, Any]) -> None:
    """Remove the results of rounds and schemes that the block `prune` no longer has."""
    rounds = [entry["n"] for entry in prune["rounds"]]
    for folder, current in (("chain", rounds), ("masks", rounds), ("cells", prune["schemes"])):
        for entry in (study / folder).glob("[!.]*"):
            if entry.stem not in current:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


if __name__ == "__main__":
    run_and_exit(main)
