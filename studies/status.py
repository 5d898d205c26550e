"""Table of the named studies: whether their committed results come from the present code and parameters."""

import json
import subprocess
import sys
from pathlib import Path

import click
from omegaconf import OmegaConf

from prunet.analysis.report import revisions
from prunet.base.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
CODE = ("prunet/", "stages/")


@click.command()
def main() -> None:
    """Print the table of studies/README.md: studies, the state of their results, and the commit.

    current: every result was computed by the present code with the present parameters. older code, other
    parameters: some were not; `make study STUDY=NAME` computes them anew. not run: there are no results.
    """
    click.echo("| study | results | commit |")
    click.echo("|---|---|---|")
    for path in sorted(ROOT.glob("studies/*/study.yaml")):
        name = path.parent.name
        link = f"[{name}]({name}/study.yaml)"
        click.echo(f"| {link} | {state(path.parent)} | {revisions.commit(path.parent)} |")


def state(folder: Path) -> str:
    """Return the state of a study's results in a word or two."""
    if not (folder / "dvc.lock").exists():
        return "not run"
    done = subprocess.run(
        [Path(sys.executable).parent / "dvc", "status", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise InputError(f"`dvc status` in {folder} failed: {done.stderr.strip()}")
    locked = OmegaConf.load(folder / "dvc.lock").stages
    changes = [
        (name, kind)
        for stage, entries in json.loads(done.stdout).items()
        if stage in locked
        for entry in entries
        if isinstance(entry, dict)
        for name, kind in entry.get("changed deps", {}).items()
    ]
    # Outputs that are not on this machine count as deleted: they say nothing about the results.
    if any(name.startswith(CODE) and kind != "deleted" for name, kind in changes):
        return "older code"
    return "other parameters" if any(name == "params.yaml" for name, _ in changes) else "current"


if __name__ == "__main__":
    main()
