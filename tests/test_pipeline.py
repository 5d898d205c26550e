"""The study stages as DVC runs them: a miniature of the digits. The faces are in test_faces_pipeline.py."""

import json
import re
import shutil

import pytest

from tests.toy_pipeline import ROOT, change, commit, ran, sh, small_copy

pytestmark = pytest.mark.slow


TARGETS = ("plot@digits",)


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    """A small copy of the working tree, run once and committed."""
    clone = tmp_path_factory.mktemp("clone") / "prunet"
    small_copy(clone)
    change(clone, lambda values: values["studies"].pop("faces"))
    sh(clone, "dvc", "repro", *TARGETS)
    commit(clone)
    return clone


@pytest.fixture
def restored(miniature):
    """The miniature, as it was committed after the test too."""
    yield miniature
    sh(miniature, "git", "checkout", "-q", ".")
    sh(miniature, "git", "clean", "-fdq")
    sh(miniature, "dvc", "checkout", "-q", "--allow-missing")


def changed_stages(clone):
    """The stages of which DVC says that something they depend on has changed."""
    status = json.loads(sh(clone, "dvc", "status", "--json", "--with-deps", *TARGETS))
    return {
        stage
        for stage, entries in status.items()
        for entry in entries
        if isinstance(entry, dict) and "modified" in entry.get("changed deps", {}).values()
    }


def test_a_second_repro_runs_nothing_and_git_is_clean(miniature):
    assert ran(sh(miniature, "dvc", "repro", *TARGETS)) == set()
    assert sh(miniature, "git", "status", "--porcelain") == ""


def test_the_pipeline_has_at_most_60_stages():
    assert len(sh(ROOT, "dvc", "stage", "list", "--name-only").splitlines()) <= 60


EDITS = {
    "prunet/schemes/random.py": {"check", "retrain@digits-random"},
    "prunet/schemes/original.py": {
        *("check", "retrain@digits-original", "prune@digits-round0", "prune@digits-round1"),
    },
    "params.yaml": set(),  # a comment
}


def test_an_edit_of_a_scheme_is_of_its_own_stage_and_the_rounds_if_it_is_the_chains(restored):
    for path, expected in EDITS.items():
        before = (restored / path).read_bytes()
        (restored / path).write_bytes(before + b"\n# edited\n")
        assert changed_stages(restored) == expected
        (restored / path).write_bytes(before)


def test_a_comment_in_the_code_reruns_a_stage_and_retrains_nothing(restored):
    cells = restored / ".checkpoints" / "digits"
    trained = {path: path.stat().st_mtime_ns for path in cells.rglob("result.json")}
    with (restored / "prunet/training/loop.py").open("a") as file:
        file.write("\n# edited\n")
    assert ran(sh(restored, "dvc", "repro", "train@digits")) == {"train@digits"}
    assert {path: path.stat().st_mtime_ns for path in trained} == trained


def test_a_new_scheme_runs_its_own_stage_and_the_reports(restored):
    schemes = "prune.schemes=[original,random,trained]"
    output = sh(restored, "dvc", "exp", "run", "-S", schemes, "summarize@digits")
    assert ran(output) == {"check", "retrain@digits-trained", "summarize@digits"}
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


def test_the_same_seed_gives_the_same_bits(restored):
    """Trained anew, without what was finished before."""
    shutil.rmtree(restored / ".checkpoints")
    files = [*(restored / "models").rglob("*.safetensors"), *(restored / "models").rglob("result.json")]
    before = {path: path.read_bytes() for path in files}
    assert len(before) > 20
    forced = ("repro", "--force", "--no-run-cache", "--single-item")
    sh(restored, "dvc", *forced, "train@digits", "prune@digits-round1", "retrain@digits-random")
    assert {path: path.read_bytes() for path in before} == before


def test_a_wrong_value_stops_before_anything_runs(restored):
    change(restored, lambda values: values["prune"].update(rate=1.2))
    output = sh(restored, "dvc", "repro", *TARGETS, fails=True)
    assert "prune.rate is 1.2" in output
    assert ran(output) == {"check"}


def test_an_experiment_in_a_copy_runs_the_code_of_its_copy_and_leaves_the_workspace_alone(restored):
    """The code is changed, and the change is nowhere but in the experiment's own copy when it runs."""
    report = (restored / "metrics/digits/report.json").read_text()
    source = restored / "stages" / "summarize.py"
    original = source.read_text()
    source.write_text(original.replace('"""Stage', 'print("the copy")\n"""Stage', 1))
    try:
        options = ("--temp", "-n", "copy", "-S", "prune.rate=0.5")
        output = sh(restored, "dvc", "exp", "run", *options, "summarize@digits")
    finally:
        source.write_text(original)
    assert "the copy" in output
    assert (restored / "metrics/digits/report.json").read_text() == report
    difference = json.loads(sh(restored, "dvc", "metrics", "diff", "HEAD", "copy", "--all", "--json"))
    assert difference["metrics/digits/report.json"]["density"]["new"] == pytest.approx(0.5, abs=1e-3)
    assert "original.accuracy" in difference["metrics/digits/report.json"]


def test_a_dropped_round_and_scheme_leave_nothing_behind_in_a_clone(restored, tmp_path):
    def fewer(values):
        values["prune"]["rounds"] = values["prune"]["rounds"][:1]
        values["prune"]["schemes"] = ["original"]
        values["report"]["round"] = values["export"]["round"] = "00"

    change(restored, fewer)
    sh(restored, "dvc", "repro", "summarize@digits")
    assert sorted(path.name for path in (restored / "models/digits/cells").iterdir()) == ["original"]
    commit(restored)
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
    shown = json.loads(sh(miniature, "dvc", "plots", "show", "--json"))["data"]
    assert {"metrics/digits/summary.csv", "plots/digits/data/curves.csv"} <= set(shown)
    assert "plots/digits/figures/accuracy.png" in json.dumps(shown)
    for name in ("metrics/digits/summary.csv", "plots/digits/data/curves.csv"):
        assert all(scheme in json.dumps(shown[name]) for scheme in ("original", "random"))


@pytest.mark.field
def test_a_clone_shows_and_compares_plots_and_metrics_and_misses_nothing(restored, tmp_path):
    """A clone has no cache, and the commit before has another scheme."""
    change(restored, lambda values: values["prune"].update(schemes=["original"]))
    sh(restored, "dvc", "repro", *TARGETS)
    commit(restored)
    try:
        sh(tmp_path, "git", "clone", "-q", str(restored), "clone")
    finally:
        sh(restored, "git", "reset", "-q", "--hard", "HEAD~1")
    for command in ("plots show", "plots diff HEAD~1", "metrics diff HEAD~1"):
        printed = sh(tmp_path / "clone", "bash", "-c", f"dvc {command} 2>&1")
        assert not re.search("failed|warning|error", printed, re.IGNORECASE), printed


def test_experiments_are_compared_in_at_most_25_columns(miniature):
    recipe = (ROOT / "Makefile").read_text().partition("experiments:")[2].partition("dvc exp show")[2]
    options = recipe.splitlines()[0].replace("'", "").split()
    table = sh(miniature, "dvc", "exp", "show", *options, "--csv")
    assert len(table.splitlines()[0].split(",")) <= 25
