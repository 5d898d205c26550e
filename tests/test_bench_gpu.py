"""The GPU benchmark, rehearsed on a CPU: everything runs, with the packages that a GPU machine has."""

import importlib.metadata
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from bench.gpu import __main__ as gpu
from bench.gpu import checks, memory
from bench.gpu.inputs import QUICK
from bench.gpu.report import Row
from prunet.base.errors import InputError

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")
NEEDED = {
    *("torch", "torchvision", "numpy", "scipy", "safetensors", "click", "psutil", "tqdm", "pillow"),
    *("threadpoolctl",),
}
HIDE = """
import functools
import importlib.machinery

find = importlib.machinery.PathFinder.find_spec

def find_spec(name, path=None, target=None):
    return None if name.partition(".")[0] in HIDDEN else find(name, path, target)

# pytest keeps it in a class, where a function would become a method.
importlib.machinery.PathFinder.find_spec = functools.partial(find_spec)
"""
SHORT = ("lenet-300-100 float32", "lenets", "graphs", "2:4 product", "memory")


def hidden():
    """Return the modules of every pinned package that the benchmark does not need."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line} - NEEDED
    found = importlib.metadata.packages_distributions().items()
    modules = {
        module for module, names in found if {name.lower().replace("_", "-") for name in names} & pinned
    }
    assert {"dvc", "tensorflow", "cv2", "pandas", "yaml", "onnx"} <= modules
    return modules


def rehearse(tmp_path, parts):
    """Run parts in a process that lacks other packages; return their rows."""
    (tmp_path / "sitecustomize.py").write_text(f"HIDDEN = {hidden()!r}\n{HIDE}")
    output = tmp_path / "gpu.json"
    only = [option for part in parts for option in ("--only", part)]
    command = [sys.executable, "-m", "bench.gpu", "--device", "cpu", "--quick", *only, str(output)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{tmp_path}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(output.read_text())
    assert found["device"] == "cpu"
    assert list(found["seconds"]) == list(parts)
    assert all(row["name"] in done.stdout for row in found["rows"])
    return found["rows"]


def check(rows):
    """Check that every number is there, and those that do not depend on speed are as they should be."""
    for row in rows:
        assert math.isfinite(row["value"]), row
        if row["at_most"] is not None and "seconds" not in row["name"]:
            assert row["value"] <= row["at_most"], row


def test_it_runs_with_the_packages_of_a_gpu_machine(tmp_path):
    rows = rehearse(tmp_path, SHORT)
    assert {row["part"] for row in rows} == set(SHORT)
    check(rows)


@pytest.mark.rehearsal
def test_every_part_runs(tmp_path):
    check(rehearse(tmp_path, [part for part in gpu.PARTS if part not in SHORT]))


def test_every_check_can_fail(monkeypatch):
    outcomes = []

    def broken(work):
        first = honest(work)
        layer, mask = next(iter(first.masks.items()))
        first.weights[layer][~mask] = 1 + len(outcomes)
        first.results[0]["curve"]["val_loss"][0] = math.nan
        outcomes.append(first)
        return first

    honest = checks.outcome
    monkeypatch.setattr(checks, "outcome", broken)
    logits = iter([torch.tensor([1.0, 4.0]), torch.tensor([1.0, 2.0])])
    monkeypatch.setattr(checks, "logits", lambda *_: next(logits))
    rows = list(checks.train("lenet-300-100", "float32", CPU, QUICK))
    assert all(row.verdict.endswith("missed") for row in rows)
    (mask, *_), difference = outcomes[0].masks.values(), rows[-1].value
    assert [row.value for row in rows] == [1, (~mask).sum(), 1, difference]
    assert difference == 1


def test_tests_that_pass_fail_or_cannot_be_loaded_are_counted(tmp_path, monkeypatch):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_one.py").write_text(
        "def test_fails():\n    assert False\n\ndef test_passes():\n    pass\n"
    )
    (tmp_path / "tests/test_two.py").write_text("import a_module_that_does_not_exist\n")
    monkeypatch.setattr(checks, "CHECKOUT", tmp_path)
    rows = list(checks.tests(CPU, QUICK._replace(tests=("test_one", "test_two"))))
    assert [row.value for row in rows] == [1, 0, 1, 1]
    assert rows[-1].note == "tests.test_two"


def test_a_part_that_fails_is_named_and_the_others_run(tmp_path, monkeypatch):
    def fails(device, sizes):
        yield Row("before", math.nan)
        raise RuntimeError("no kernel\nand a long trace")

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpu, "PARTS", {"first": fails, "second": lambda *_: iter([Row("after", 2.0)])})
    output = tmp_path / "gpu.json"
    done = CliRunner().invoke(gpu.main, ["--device", "cpu", str(output)])
    assert done.exit_code == 1
    rows = json.loads(output.read_text())["rows"]
    assert [row["name"] for row in rows] == ["before", "failed", "after"]
    assert [row["value"] for row in rows] == [None, None, 2]
    assert [row["note"] for row in rows] == ["not a finite number", "RuntimeError: no kernel", ""]


def test_without_a_gpu_one_sentence_says_how_to_rehearse(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    done = CliRunner().invoke(gpu.main, [])
    assert done.exit_code == 2
    assert done.output.startswith("Error: PyTorch finds no GPU here: rehearse with")


@pytest.mark.parametrize(
    ("error", "value"),
    [
        (InputError("Lower batch_size."), 1),
        (InputError("Too much."), 0),
        (torch.OutOfMemoryError("Full."), 0),
    ],
)
def test_a_refusal_counts_only_if_it_names_the_setting(error, value):
    def task():
        raise error

    row = memory.named("large batches", task, "batch_size")
    assert row.value == value
    assert memory.named("large batches", lambda: None, "batch_size").value == 0


def test_a_verdict_compares_with_the_target():
    assert Row("a", 10, at_least=10).verdict == "at least 10: met"
    assert Row("a", 9.9, at_least=10).verdict == "at least 10: missed"
    assert Row("a", 0, at_most=0).verdict == "at most 0: met"
    assert Row("a", 0.5, at_most=0).verdict == "at most 0: missed"
    assert Row("a", None, at_most=0).verdict == "at most 0: not measured"
    assert Row("a", 1).verdict == ""
