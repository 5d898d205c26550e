"""The Makefile on other people's machines: their Pythons, their folders."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOOLS = ("sh", "bash", "make", "test", "echo", "touch", "env")

pytestmark = pytest.mark.field


def script(path, *lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o755)


@pytest.fixture
def machine(tmp_path):
    """Return a function that runs make in a folder; its PATH has few tools, and Pythons of given versions."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in TOOLS:
        (tools / name).symlink_to(shutil.which(name))

    def make(folder, *arguments, pythons=()):
        for name, version in pythons:
            asked = f"import sys; sys.version_info = {version}; exec(sys.argv[1])"
            script(tools / name, f"exec {sys.executable} -c '{asked}' \"$2\"" if version else "exit 127")
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "Makefile", folder)
        (folder / "requirements.txt").touch()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(
            ["make", *arguments],
            cwd=folder,
            env=environment | {"PATH": str(tools)},
            capture_output=True,
            text=True,
            check=False,
        )

    return make


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ([("python3.11", (3, 11, 9)), ("python3.12", (3, 12, 1))], "python3.11"),
        ([("python3.13", (3, 13, 0)), ("python3", (3, 10, 4))], "python3.13"),
        ([("python3.11", None), ("python3", (3, 12, 3))], "python3"),  # a shim that finds no Python
        ([("python3", (3, 14, 0)), ("python", (3, 11, 0))], "python"),
    ],
)
def test_the_first_suitable_python_makes_the_environment(machine, tmp_path, pythons, chosen):
    done = machine(tmp_path / "clone", "-n", "repro", pythons=pythons)
    assert done.returncode == 0, done.stderr
    assert f"\n{chosen} -m venv .venv\n" in done.stdout


def test_without_a_suitable_python_one_line_names_the_versions(machine, tmp_path):
    done = machine(tmp_path / "clone", "repro", pythons=[("python3", (3, 10, 12))])
    assert done.returncode == 2
    message, make_adds = done.stderr.strip().splitlines()
    assert message.startswith("prunet needs Python 3.11, 3.12 or 3.13 (")
    assert "make PYTHON=/path/to/python3.12" in message
    assert "Error 2" in make_adds


@pytest.mark.parametrize("target", [["repro"], ["study", "STUDY=tiny"]])
def test_a_checkout_may_lie_in_a_folder_whose_name_has_spaces(machine, tmp_path, target):
    folder, log = tmp_path / "my own clone", tmp_path / "log"
    (folder / "studies" / "tiny").mkdir(parents=True)
    for name in ("dvc", "python"):
        script(folder / ".venv" / "bin" / name, f'echo "{name} $*" >> "{log}"')
    script(folder / ".venv" / "bin" / "uv")
    done = machine(folder, *target)
    assert done.returncode == 0, done.stderr
    assert log.read_text().splitlines()[-1] == "python -m stages.show"
    assert any(line.startswith("dvc repro") for line in log.read_text().splitlines())
