"""Commands in a small copy of the checkout that DVC runs in a minute."""

import os
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from faults import miniature

ROOT = Path(__file__).parent.parent
YAML_ = YAML()


def sh(folder, *command, fails=False):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) == fails, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr if fails else done.stdout


def ran(output):
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


def change(clone, edit):
    """Edit params.yaml with a function of its values."""
    values = YAML_.load(clone / "params.yaml")
    edit(values)
    YAML_.dump(values, clone / "params.yaml")


def small_copy(clone):
    """Copy what git would, without results, with small parameters; commit nothing yet."""
    miniature.copy(clone, photos=20, steps=20)
    sh(clone, "git", "config", "user.name", "test")
    sh(clone, "git", "config", "user.email", "test@example.org")


def commit(clone):
    sh(clone, "git", "add", "-A")
    sh(clone, "git", "commit", "-qm", "miniature")
