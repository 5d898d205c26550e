"""Results of other revisions and experiments, from git."""

import io
import subprocess
import tarfile
from contextlib import closing
from pathlib import Path

from dvc.scm import Git, RevError, resolve_rev

from prunet.base.errors import InputError

WORKSPACE = "workspace"  # DVC's name for the files as they are
PARTS = ("params.yaml", "metrics", "plots")


def commit(folder: Path) -> str:
    """Return the last commit that changed a DVC project's results, abbreviated; empty if there is none."""
    command = ["git", "log", "-1", "--format=%h", "--", "dvc.lock"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()


def extract(name: str, output: Path) -> Path:
    """Return a folder with parameters, metrics and plot data of the working folder's project at a revision.

    Args:
        name: a revision of git, the name of an experiment of DVC, or `workspace`.
        output: the folder to make, unless the files are there already.

    Raises:
        InputError: there is no such revision.
    """
    if name == WORKSPACE:
        return Path()
    try:
        with closing(Git(search_parent_directories=True)) as repository:
            commit = resolve_rev(repository, name)
    except RevError:
        raise InputError(
            f"There is no revision or experiment {name!r}; `git log` and `dvc exp list` show them."
        ) from None
    for part in PARTS:  # one at a time: a revision may lack one
        done = subprocess.run(["git", "archive", commit, part], capture_output=True, check=False)
        if done.returncode == 0:
            with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
                archive.extractall(output, filter="data")
    return output
