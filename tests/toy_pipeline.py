"""A small copy of the working tree that DVC runs in a minute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

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


def smaller(values):
    """Few photos, two rounds, two schemes, few steps."""
    values["checkpoint_seconds"] = 0
    values["sample"]["photos"] = 20
    values["studies"]["digits"]["replicates"] = 2
    values["studies"]["faces"]["replicates"] = 1
    values["studies"]["digits"]["training"] |= {"steps": 20, "eval_every": 10}
    values["studies"]["faces"]["training"] |= {"steps": 2, "eval_every": 2, "warmup": 1}
    values["prune"]["rounds"] = values["prune"]["rounds"][:2]
    values["prune"]["schemes"] = ["original", "random"]
    values["report"]["round"] = values["export"]["round"] = "01"
    values["footprint"] |= {"rounds": 2, "seconds": 0.01, "batches": [1, 4], "bits": [4]}


def small_copy(clone):
    """Copy what git would, without results, with small parameters; commit nothing yet."""
    for name in sh(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "plots/", "studies/")):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    change(clone, smaller)
    (clone / "dvc.lock").unlink(missing_ok=True)
    sh(clone, "git", "init", "-q")
    sh(clone, "git", "config", "user.name", "test")
    sh(clone, "git", "config", "user.email", "test@example.org")


def commit(clone):
    sh(clone, "git", "add", "-A")
    sh(clone, "git", "commit", "-qm", "miniature")
