"""`pip install .` gives a library that needs none of the packages of the pipeline."""

import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CORE = [Requirement(line) for line in PROJECT["dependencies"]]
EXTRAS = [Requirement(line) for lines in PROJECT["optional-dependencies"].values() for line in lines]
IMPORT_THEM = """
import importlib, pkgutil, sys
blocked, packages = set(sys.argv[1].split()), sys.argv[2:]
class Blocker:
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"{name} is not part of the library")
sys.meta_path.insert(0, Blocker)
for package in packages:
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(module.name)
        print(module.name)
"""


def names(requirements):
    return {canonicalize_name(requirement.name) for requirement in requirements}


def import_without(modules, packages):
    command = [sys.executable, "-c", IMPORT_THEM, " ".join(modules), *packages]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_the_pruning_side_imports_without_the_packages_of_the_extras():
    only_extras = names(EXTRAS) - names(CORE)
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if {canonicalize_name(name) for name in distributions} & only_extras
    }
    assert {"tensorflow", "mtcnn", "cv2", "dvc", "pandas", "matplotlib"} <= modules
    sides = ("models", "pruning", "training", "shrinking", "cells", "structure", "schemes")
    done = import_without(modules, [f"prunet.{side}" for side in sides])
    assert done.returncode == 0, done.stderr
    assert {"prunet.training.trainer", "prunet.shrinking.shrinking"} <= set(done.stdout.split())


def test_a_blocked_package_cannot_be_imported():
    done = import_without(["numpy"], ["prunet.cells"])
    assert done.returncode == 1
    assert "numpy is not part of the library" in done.stderr


def test_what_the_library_and_its_extras_need_is_what_the_pipeline_pins():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {
        canonicalize_name(name): version
        for name, _, version in (line.partition("==") for line in lines if line[0] != "#")
    }
    assert set(pinned) == names([*CORE, *EXTRAS])
    for requirement in [*CORE, *EXTRAS]:
        assert pinned[canonicalize_name(requirement.name)] in requirement.specifier


def test_every_folder_of_code_is_a_package_that_the_wheel_holds():
    folders = {file.parent for file in (ROOT / "prunet").rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)
