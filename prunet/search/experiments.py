"""Experiments of DVC that run in a copy of the checkout, and their tables, which git keeps."""

import io
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from dvc.repo.experiments.refs import ExpRefInfo

from prunet.base.errors import InputError
from prunet.base.files import writing

CHECKPOINTS = Path(".checkpoints")
LOGS = CHECKPOINTS / "search"
ERRORS = ("Error: ", "ERROR: ")  # of a stage, and of DVC


class ExperimentError(Exception):
    """An experiment failed; the message is the sentence of the stage, or of DVC."""


def baseline() -> str:
    """Return the commit that experiments start from.

    Raises:
        InputError: the working folder is not the root of a DVC project in a git repository, or files that git
            tracks have changes, which experiments of this commit would contain.
    """
    found = _git("rev-parse", "HEAD")
    if found.returncode or not Path(".dvc").is_dir():
        raise InputError(
            "This folder is not a DVC project with a commit: run the search in the checkout or in a folder "
            "of studies/."
        )
    changed = _git("status", "--porcelain", "--untracked-files=no").stdout.decode().splitlines()
    if changed:
        raise InputError(
            f"{changed[0][3:]} has changes that are not committed: commit them first, so that all "
            "experiments start from the same files."
        )
    return found.stdout.decode().strip()


def table(commit: str, name: str, path: Path) -> pd.DataFrame | None:
    """Return the table at `path` of a finished experiment, or None if there is no such experiment.

    Args:
        commit: from `baseline`.
        name: of the experiment.
        path: relative to the working folder.
    """
    done = _git("show", f"{ExpRefInfo(commit, name)}:./{path.as_posix()}")
    return pd.read_csv(io.BytesIO(done.stdout)) if done.returncode == 0 else None


def run(name: str, overrides: Sequence[str], target: str) -> None:
    """Run an experiment in a copy of the checkout; the working folder stays as it is.

    What it prints goes to `.checkpoints/search/NAME.log`. Trainings are kept in this folder's `.checkpoints`,
    so that experiments share them and one that was killed resumes.

    Args:
        name: of the experiment, which must be new at this commit.
        overrides: changes of params.yaml, as `dvc exp run -S` takes them.
        target: stage to run, with all that it depends on.

    Raises:
        ExperimentError: it failed.
    """
    log = LOGS / f"{name}.log"
    changes = [part for override in overrides for part in ("-S", override)]
    command = [sys.executable, "-m", "dvc", "exp", "run", "--temp", "-n", name, *changes, target]
    with writing(log):
        LOGS.mkdir(parents=True, exist_ok=True)
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=_environment())
    try:
        code = process.wait()
    except KeyboardInterrupt:  # which DVC gets too: it removes the copy
        process.wait()
        raise
    if code:
        raise ExperimentError(_sentence(log))


def _environment() -> dict[str, str]:
    """Return the environment of stages: `python` is this one, whether or not its environment is active."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return os.environ | {"PATH": path, "PRUNET_CHECKPOINTS": str(CHECKPOINTS.absolute())}


def _sentence(log: Path) -> str:
    """Return the message of the first error in a log, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    messages = [line.removeprefix(kind) for kind in ERRORS for line in lines if line.startswith(kind)]
    return (messages or lines[-1:] or ["it printed nothing"])[0]


def _git(*arguments: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["git", *arguments], capture_output=True, check=False)
