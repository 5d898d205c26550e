import subprocess
import sys

import pytest

CODE = """
import click
from prunet.base.errors import InputError
from prunet.base.processes import run_and_exit

@click.command()
@click.argument("action")
def main(action):
    click.echo("written")
    if action == "refuse":
        raise InputError("a clear sentence")
    if action == "fail":
        raise RuntimeError("a bug")

run_and_exit(main)
"""


@pytest.mark.parametrize(
    ("action", "code", "message"),
    [("work", 0, ""), ("refuse", 2, "Error: a clear sentence"), ("fail", 1, "RuntimeError: a bug")],
)
def test_the_exit_code_and_all_output_survive_the_quick_exit(action, code, message):
    done = subprocess.run([sys.executable, "-c", CODE, action], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stdout == "written\n"
    assert message in done.stderr
