"""Each example runs, and its smaller network is nearly as accurate as the dense one."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parent.parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "needs"), [("plain_pytorch", "torch"), ("lightning_trainer", "lightning"), ("timm_loop", "timm")]
)
def test_an_example_prints_a_smaller_network_of_the_same_accuracy(name, needs):
    if importlib.util.find_spec(needs) is None:
        pytest.skip(f"{needs} is not installed: see requirements-dev.txt and requirements-bench.txt")
    done = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        cwd=CHECKOUT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = re.findall(r"^(dense|smaller): accuracy ([\d.]+), (\d+) parameters$", done.stdout, re.MULTILINE)
    (dense, before, whole), (smaller, after, rest) = rows
    assert (dense, smaller) == ("dense", "smaller")
    assert float(before) > 0.6
    assert float(after) > float(before) - 0.1
    assert int(rest) < 0.7 * int(whole)
