import subprocess
import sys

import pytest

CODE = """
import click
from prunet.base.errors import InputError
from prunet.base.processes import run_and_leave

@click.command()
@click.argument("what")
def main(what):
    click.echo("written")
    if what == "refuse":
        raise InputError("a clear sentence")
    if what == "fail":
        raise RuntimeError("a fault")

run_and_leave(main)
"""


@pytest.mark.parametrize(
    ("what", "code", "said"),
    [("work", 0, ""), ("refuse", 2, "Error: a clear sentence"), ("fail", 1, "RuntimeError: a fault")],
)
def test_the_exit_code_and_all_output_survive_the_quick_end(what, code, said):
    done = subprocess.run([sys.executable, "-c", CODE, what], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stdout == "written\n"
    assert said in done.stderr
