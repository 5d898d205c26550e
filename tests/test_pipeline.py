"""The pipeline as DVC runs it: what dvc.yaml says is true, and a miniature of it runs end to end."""

import ast
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from prunet.config import params

ROOT = Path(__file__).parent.parent
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def imported(module: Path) -> set[Path]:
    """The files of this repository that a module imports, wherever in its code it does so."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        found |= {file for name in names if (file := ROOT / f"{name.replace('.', '/')}.py").is_file()}
    return found


def closure(module: Path) -> set[Path]:
    files, new = set(), {module}
    while new:
        files |= new
        new = set().union(*(imported(file) for file in new)) - files
    return files


@pytest.mark.parametrize("stage", PIPELINE)
def test_every_module_that_a_stage_imports_is_among_its_deps(stage):
    command = PIPELINE[stage]["cmd"]
    module = ROOT / f"{command.split()[2].replace('.', '/')}.py"
    needed = {str(file.relative_to(ROOT)) for file in closure(module)}
    code = [dep for dep in PIPELINE[stage]["deps"] if dep.startswith(("prunet/", "stages/"))]
    covers = {dep: {file for file in needed if file == dep or file.startswith(f"{dep}/")} for dep in code}
    assert set().union(*covers.values()) == needed
    assert all(covers.values()), "a dependency that is not needed"


@pytest.mark.parametrize("folder", sorted((ROOT / "studies").iterdir()), ids=lambda folder: folder.name)
def test_a_named_study_is_valid_and_runs_the_stages_of_the_checkout(folder):
    params.load(folder / "params.yaml")
    for name in ("dvc.yaml", "prunet", "stages"):
        assert (folder / name).resolve() == ROOT / name


def test_packages_hold_no_code_of_their_own():
    """Importing a module imports its package, which the test above does not see."""
    for file in [*ROOT.glob("prunet/**/__init__.py"), ROOT / "stages" / "__init__.py"]:
        (docstring,) = ast.parse(file.read_text()).body
        assert isinstance(docstring, ast.Expr)


def test_imports_run_one_way():
    for file in (ROOT / "prunet").rglob("*.py"):
        assert file not in set().union(*(closure(part) for part in imported(file)), set())
        assert not any(part.parent.name == "stages" for part in imported(file))


def sh(folder, *command, **environment):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def copy_of_the_working_tree(clone, **digits):
    """Copy what git would, with few photos, two rounds and few steps; `digits` are training settings."""
    files = sh(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    for name in files:
        if (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    values = yaml.safe_load((clone / "params.yaml").read_text())
    values["sample"]["photos"] = 20
    values["studies"]["digits"]["replicates"] = 2
    values["studies"]["digits"]["training"] |= {"steps": 20, "eval_every": 10} | digits
    values["studies"]["faces"]["training"] |= {"steps": 4, "eval_every": 2}
    values["prune"] |= {"rounds": values["prune"]["rounds"][:2], "schemes": ["original", "random"]}
    values["report"]["round"] = values["export"]["round"] = "01"
    values["footprint"] |= {"seconds": 0.01, "batches": [1, 4], "bits": [4]}
    (clone / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    (clone / "dvc.lock").unlink(missing_ok=True)
    sh(clone, "git", "init", "-q")
    sh(clone, "git", "config", "user.name", "test")
    sh(clone, "git", "config", "user.email", "test@example.org")


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A copy of the working tree, made small and run once."""
    clone = tmp_path_factory.mktemp("clone") / "prunet"
    copy_of_the_working_tree(clone)
    sh(clone, "dvc", "repro")
    sh(clone, "git", "add", "-A")
    sh(clone, "git", "commit", "-qm", "miniature")
    return clone


def read(clone, name="report.json"):
    return json.loads((clone / "metrics" / "digits" / name).read_text())


@pytest.mark.slow
def test_a_second_repro_runs_nothing_and_git_is_clean(miniature):
    assert "Running stage" not in sh(miniature, "dvc", "repro")
    assert "up to date" in sh(miniature, "dvc", "status")
    assert sh(miniature, "git", "status", "--porcelain") == ""


@pytest.mark.slow
def test_every_row_of_the_list_is_accounted_for(miniature):
    rows = (miniature / "data" / "sample" / "list.csv").read_text().splitlines()
    counts = json.loads((miniature / "metrics" / "ingest.json").read_text())
    assert counts["rows"] == len(rows) - 1 == sum(counts.values()) - counts["rows"]
    assert (counts["duplicate"], counts["missing-file"], counts["broken-image"]) == (4, 1, 1)
    crops = json.loads((miniature / "metrics" / "crop.json").read_text())
    assert sum(crops.values()) == counts["ok"]
    assert crops["no-face"] >= 4  # the photos of nobody


@pytest.mark.slow
def test_the_chain_may_be_another_scheme(miniature):
    """The rounds run again; the data sets and the dense networks do not."""
    output = sh(miniature, "dvc", "exp", "run", "--temp", "-S", "prune.chain=random", "summarize@digits")
    ran = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
    assert {"prune@digits-round1", "retrain@digits-random-round1"} <= ran
    assert not {name for name in ran if name.startswith(("train@", "sample", "crop", "images@"))}


@pytest.mark.slow
def test_the_dense_run_is_round_0_of_the_original_scheme(miniature):
    models = miniature / "models" / "digits"
    for file in ("weights.safetensors", "masks.safetensors", "result.json"):
        assert (models / "dense" / file).read_bytes() == (models / "original" / "00" / file).read_bytes()


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bits(miniature):
    """From the drawn photos to the figures, all but what a clock decides; of digits: the test of kills."""
    folders = [miniature / name for name in ("data", "models/faces", "metrics/faces", "plots/faces")]
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    before = {path: timeless(path) for path in paths if path.name not in TIMES}
    assert len(before) > 500
    ran = sh(miniature, "dvc", "repro", "--force", "--no-run-cache", "plot@faces")
    assert "Running stage 'sample'" in ran
    assert {path: timeless(path) for path in before} == before


TIMES = ("latency.csv", "speedups.png")  # hold nothing but times


def timeless(path):
    """What a file says but for times and what follows from them."""
    if path.name == "footprint.csv":
        table = pd.read_csv(path, dtype=str)
        return table.drop(columns=[name for name in table if name.startswith(("ms_", "best_"))]).to_csv()
    if path.name in ("report.json", "rounds.json"):
        return re.sub(r'"ms_.*', "", path.read_text())
    return path.read_bytes()


@pytest.mark.slow
def test_a_wrong_value_stops_before_anything_runs(miniature):
    values = (miniature / "params.yaml").read_text()
    (miniature / "params.yaml").write_text(values.replace("rate: 0.2", "rate: 1.2"))
    try:
        with pytest.raises(AssertionError) as failure:
            sh(miniature, "dvc", "repro")
    finally:
        (miniature / "params.yaml").write_text(values)
    assert "prune.rate is 1.2" in str(failure.value)
    assert "Running stage 'train" not in str(failure.value)


@pytest.mark.slow
def test_an_experiment_in_a_copy_runs_the_code_of_its_copy_and_leaves_the_workspace_alone(miniature):
    """The code is changed, and the change is nowhere but in the experiment's own copy when it runs."""
    report = read(miniature)
    source = miniature / "prunet" / "reports" / "summary.py"
    original = source.read_text()
    source.write_text(original.replace('means | {"density"', 'means | {"copy": 1.0, "density"'))
    try:
        sh(miniature, "dvc", "exp", "run", "--temp", "-n", "copy", "-S", "prune.rate=0.5", "summarize@digits")
    finally:
        source.write_text(original)
    assert read(miniature) == report
    references = sh(miniature, "git", "for-each-ref", "--format=%(refname)", "refs/exps").splitlines()
    (copy,) = [reference for reference in references if reference.endswith("/copy")]
    shown = json.loads(sh(miniature, "git", "show", f"{copy}:metrics/digits/report.json"))
    assert shown["copy"] == 1
    assert shown["density"] == pytest.approx(0.5, abs=1e-3)


@pytest.mark.slow
def test_another_headline_runs_only_the_reporting_stages_and_lines_up(miniature):
    output = sh(
        miniature, "dvc", "exp", "run", "-n", "headline", "-S", "report.scheme=random", "summarize@digits"
    )
    try:
        stages = {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}
        assert stages == {"check", "footprint@digits", "summarize@digits"}
        difference = json.loads(
            sh(miniature, "dvc", "metrics", "diff", "HEAD", "headline", "--all", "--json")
        )
        # DVC leaves out what is null: there may be no winning ticket.
        named = {name for name, value in read(miniature).items() if value is not None}
        assert set(difference["metrics/digits/report.json"]) == named
    finally:
        sh(miniature, "git", "checkout", "-q", ".")
        sh(miniature, "dvc", "checkout", "-q")


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_with_the_bits_of_an_undisturbed_one(tmp_path):
    """SIGKILL to DVC and all that it started, at random moments of a training."""
    clone = tmp_path / "killed"
    copy_of_the_working_tree(clone, steps=5000)
    values = yaml.safe_load((clone / "params.yaml").read_text())
    values["checkpoint_seconds"] = 0.1
    (clone / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    sh(clone, "dvc", "repro", "images@digits")
    train = ["-m", "stages.train", "--study", "digits", "data/digits.safetensors"]
    sh(clone, sys.executable, *train, tmp_path / "init", tmp_path / "rewind", tmp_path / "undisturbed")
    rng = np.random.default_rng()
    resumed = 0
    for _ in range(3):
        begun = subprocess.Popen(
            [Path(sys.executable).parent / "dvc", "repro", "train@digits"],
            cwd=clone,
            env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        before = saved(clone)
        while saved(clone) == before and begun.poll() is None:  # until this run has left a checkpoint
            time.sleep(0.05)
        time.sleep(rng.uniform(0, 0.5))
        resumed += begun.poll() is None
        os.killpg(begun.pid, signal.SIGKILL)
        begun.wait()
    assert resumed >= 1  # a quick machine may finish the training before the last kill
    sh(clone, "dvc", "repro", "train@digits")
    for name in ("weights.safetensors", "result.json"):
        ended = clone / "models" / "digits" / "dense" / name
        assert ended.read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
    assert not list((clone / ".unfinished").rglob("*.safetensors"))


def saved(clone):
    """When each checkpoint was written."""
    folder = clone / ".unfinished" / "digits" / "dense"
    if not folder.is_dir():
        return {}
    return {entry.name: entry.stat().st_mtime_ns for entry in os.scandir(folder) if entry.is_file()}
