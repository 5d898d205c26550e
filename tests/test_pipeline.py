"""The pipeline as DVC runs it: a miniature of it, end to end."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
YAML_ = YAML()
pytestmark = pytest.mark.slow


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
    values["sample"]["photos"] = 14
    values["studies"]["digits"]["replicates"] = 2
    values["studies"]["faces"]["replicates"] = 1
    values["studies"]["digits"]["training"] |= {"steps": 20, "eval_every": 10}
    values["studies"]["faces"]["training"] |= {"steps": 2, "eval_every": 2, "warmup": 1}
    values["prune"]["rounds"] = values["prune"]["rounds"][:2]
    values["prune"]["schemes"] = ["original", "random"]
    values["report"]["round"] = values["export"]["round"] = "01"
    values["footprint"] |= {"rounds": 2, "seconds": 0.01, "batches": [1, 4], "bits": [4]}


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A small copy of the working tree, run once and committed."""
    clone = tmp_path_factory.mktemp("clone") / "prunet"
    for name in sh(ROOT, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "plots/", "studies/")):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    change(clone, smaller)
    (clone / "dvc.lock").unlink(missing_ok=True)
    sh(clone, "git", "init", "-q")
    sh(clone, "git", "config", "user.name", "test")
    sh(clone, "git", "config", "user.email", "test@example.org")
    sh(clone, "dvc", "repro")
    sh(clone, "git", "add", "-A")
    sh(clone, "git", "commit", "-qm", "miniature")
    return clone


@pytest.fixture
def restored(miniature):
    """The miniature, as it was committed after the test too."""
    yield miniature
    sh(miniature, "git", "checkout", "-q", ".")
    sh(miniature, "git", "clean", "-fdq")
    sh(miniature, "dvc", "checkout", "-q")


def changed_stages(clone):
    """The stages of which DVC says that something they depend on has changed."""
    status = json.loads(sh(clone, "dvc", "status", "--json"))
    return {
        stage.partition("@")[0]
        for stage, entries in status.items()
        if any(set(entry.get("changed deps", {}).values()) for entry in entries if isinstance(entry, dict))
    }


def test_a_second_repro_runs_nothing_and_git_is_clean(miniature):
    assert ran(sh(miniature, "dvc", "repro")) == set()
    assert sh(miniature, "git", "status", "--porcelain") == ""


def test_the_pipeline_has_at_most_60_stages():
    assert len(sh(ROOT, "dvc", "stage", "list", "--name-only").splitlines()) <= 60


def test_every_row_of_the_list_is_accounted_for(miniature):
    rows = (miniature / "data" / "sample" / "list.csv").read_text().splitlines()
    counts = json.loads((miniature / "data" / "photos" / "counts.json").read_text())
    assert counts["rows"] == len(rows) - 1 == sum(counts.values()) - counts["rows"]
    assert (counts["duplicate"], counts["missing-file"], counts["broken-image"]) == (4, 1, 1)
    crops = json.loads((miniature / "data" / "crops" / "counts.json").read_text())
    assert sum(crops.values()) == counts["ok"]
    assert crops["no-face"] >= 4  # the photos of nobody


# What may run again after an edit, directly; what follows a stage runs only if its output changes.
REPORTS = {"summarize", "plot"}
EDITS = {
    "prunet/analysis/figures.py": {"plot", "summarize"},
    "prunet/analysis/summary.py": {"plot", "summarize"},
    "prunet/pruning/criteria.py": {"check", "prune"},
    "prunet/schemes/random.py": {"check", "retrain"},
    "prunet/deployment/compact.py": {"export", "footprint"},
    "prunet/deployment/latency.py": {"export", "footprint"},
    "prunet/data/fetching/downloading.py": {"ingest"},
    "prunet/data/faces/cropping.py": {"crop"},
    "prunet/data/sample/photos.py": {"sample"},
    "README.md": set(),
    "docs/methods.md": set(),
    "bench/lenet.py": set(),
    "faults/kills.py": set(),
}


@pytest.mark.parametrize("path", EDITS)
def test_an_edit_runs_no_more_stages_again_than_it_must(restored, path):
    with (restored / path).open("a") as file:
        file.write("\n# edited\n")
    assert changed_stages(restored) <= EDITS[path]
    if EDITS[path]:
        assert changed_stages(restored)


def test_an_edit_of_a_scheme_is_of_its_own_stage_and_the_chains_if_it_is_the_chain(restored):
    for name, expected in (("random", {"retrain@digits-random", "retrain@faces-random"}), ("original", None)):
        with (restored / "prunet" / "schemes" / f"{name}.py").open("a") as file:
            file.write("\n# edited\n")
        stages = set(json.loads(sh(restored, "dvc", "status", "--json"))) - {"check"}
        if expected:
            assert stages == expected
        else:
            assert {stage.split("-")[0] for stage in stages} >= {"prune@digits", "retrain@digits"}


def test_a_comment_in_params_runs_nothing(restored):
    with (restored / "params.yaml").open("a") as file:
        file.write("\n# edited\n")
    assert changed_stages(restored) == set()


def test_a_comment_in_the_code_reruns_stages_and_retrains_nothing(restored):
    before = (restored / "models/digits/cells/random/01/weights.safetensors").stat()
    with (restored / "prunet/training/loop.py").open("a") as file:
        file.write("\n# edited\n")
    output = sh(restored, "dvc", "repro", "summarize@digits")
    assert "retrain@digits-random" in ran(output)
    assert "summarize@digits" not in ran(output)  # the networks are the same
    after = (restored / "models/digits/cells/random/01/weights.safetensors").stat()
    assert after.st_size == before.st_size


def test_a_new_scheme_runs_its_own_stage_and_the_reports(restored):
    output = sh(restored, "dvc", "exp", "run", "-S", "prune.schemes=[original,random,trained]", "plot@digits")
    assert ran(output) == {"check", "retrain@digits-trained", "summarize@digits", "plot@digits"}
    report = json.loads((restored / "metrics/digits/report.json").read_text())
    assert set(report) >= {"dense", "original", "random", "trained"}


def test_a_new_round_trains_only_what_is_new(restored):
    def more(values):
        values["prune"]["rounds"].append({"n": "02", "from": "chain/01"})

    kept = (restored / ".checkpoints/digits/random/01/result.json").stat().st_mtime_ns
    change(restored, more)
    output = sh(restored, "dvc", "repro", "summarize@digits")
    assert ran(output) >= {"prune@digits-round2", "retrain@digits-random", "summarize@digits"}
    assert not ran(output) & {"train@digits", "prune@digits-round1"}
    assert (restored / ".checkpoints/digits/random/01/result.json").stat().st_mtime_ns == kept
    assert (restored / "models/digits/cells/random/02/result.json").is_file()


def test_the_chain_may_be_another_scheme(restored):
    """The rounds run again; the data sets and the dense networks do not."""
    output = sh(restored, "dvc", "exp", "run", "--temp", "-S", "prune.chain=random", "summarize@digits")
    assert {"prune@digits-round1", "retrain@digits-random"} <= ran(output)
    assert not {name for name in ran(output) if name.startswith(("train@", "sample", "crop", "images@"))}


def test_the_dense_run_is_round_0_of_the_original_scheme(miniature):
    models = miniature / "models" / "digits"
    for file in ("weights.safetensors", "masks.safetensors", "result.json"):
        bytes_ = (models / "dense" / file).read_bytes()
        assert bytes_ == (models / "cells" / "original" / "00" / file).read_bytes()
        assert bytes_ == (models / "chain" / "00" / file).read_bytes()


def test_the_same_seed_gives_the_same_bits(restored):
    """Trained anew, without what was finished before."""
    shutil.rmtree(restored / ".checkpoints")
    files = [*(restored / "models").rglob("*.safetensors"), *(restored / "models").rglob("result.json")]
    before = {path: path.read_bytes() for path in files}
    assert len(before) > 40
    forced = ("repro", "--force", "--no-run-cache", "--single-item")
    for stage in ("train@digits", "train@faces", "prune@faces-round1", "retrain@digits-random"):
        sh(restored, "dvc", *forced, stage)
    assert {path: path.read_bytes() for path in before} == before


def test_a_wrong_value_stops_before_anything_runs(restored):
    change(restored, lambda values: values["prune"].update(rate=1.2))
    output = sh(restored, "dvc", "repro", fails=True)
    assert "prune.rate is 1.2" in output
    assert ran(output) == {"check"}


def test_an_experiment_in_a_copy_runs_the_code_of_its_copy_and_leaves_the_workspace_alone(restored):
    """The code is changed, and the change is nowhere but in the experiment's own copy when it runs."""
    report = (restored / "metrics/digits/report.json").read_text()
    source = restored / "stages" / "summarize.py"
    original = source.read_text()
    source.write_text(original.replace('"""Stage', 'print("the copy")\n"""Stage', 1))
    try:
        output = sh(
            restored, "dvc", "exp", "run", "--temp", "-n", "copy", "-S", "prune.rate=0.5", "summarize@digits"
        )
    finally:
        source.write_text(original)
    assert "the copy" in output
    assert (restored / "metrics/digits/report.json").read_text() == report
    difference = json.loads(sh(restored, "dvc", "metrics", "diff", "HEAD", "copy", "--all", "--json"))
    assert difference["metrics/digits/report.json"]["density"]["new"] == pytest.approx(0.5, abs=1e-3)
    assert "original.accuracy" in difference["metrics/digits/report.json"]


def test_another_headline_runs_only_the_reporting_stages(restored):
    output = sh(restored, "dvc", "exp", "run", "-S", "report.scheme=random", "plot@digits")
    assert ran(output) == {"check", "footprint@digits", "summarize@digits", "plot@digits"}


def test_a_dropped_round_and_scheme_leave_nothing_behind_in_a_clone(restored, tmp_path):
    def fewer(values):
        values["prune"]["rounds"] = values["prune"]["rounds"][:1]
        values["prune"]["schemes"] = ["original"]
        values["report"]["round"] = values["export"]["round"] = "00"

    change(restored, fewer)
    sh(restored, "dvc", "repro", "summarize@digits")
    assert sorted(path.name for path in (restored / "models/digits/cells").iterdir()) == ["original"]
    sh(restored, "git", "commit", "-qam", "fewer")
    try:
        sh(restored, "dvc", "remote", "add", "-q", "-f", "-d", "--local", "disk", str(tmp_path / "remote"))
        outputs = ("models/digits/dense", "models/digits/cells/original")
        sh(restored, "dvc", "push", "-q", *outputs)
        sh(tmp_path, "git", "clone", "-q", str(restored), "clone")
        clone = tmp_path / "clone"
        sh(clone, "dvc", "remote", "add", "-q", "-d", "--local", "disk", str(tmp_path / "remote"))
        sh(clone, "dvc", "pull", "-q", *outputs)
        status = json.loads(sh(clone, "dvc", "status", "--json", "summarize@digits"))
        found = {
            name: kind
            for entry in status.get("summarize@digits", [])
            for name, kind in entry.get("changed deps", {}).items()
        }
        assert "models/digits/cells" not in found
    finally:
        sh(restored, "git", "reset", "-q", "--hard", "HEAD~1")


def test_figures_and_curves_are_plots_of_all_schemes(miniature):
    shown = sh(miniature, "dvc", "plots", "show", "--json")
    for part in ("original (ticket)", "random"):
        assert part.split()[0] in shown
    targets = json.loads(sh(miniature, "dvc", "plots", "show", "--json")).keys() or shown
    assert targets


def test_experiments_are_compared_in_at_most_25_columns(miniature):
    recipe = (ROOT / "Makefile").read_text().partition("experiments:")[2].partition("dvc exp show")[2]
    options = recipe.splitlines()[0].replace("'", "").split()
    table = sh(miniature, "dvc", "exp", "show", *options, "--csv")
    assert len(table.splitlines()[0].split(",")) <= 25
