"""The search for a compression within a budget: grid, choice, and experiments of DVC as trials."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from prunet.base.errors import InputError
from prunet.compression import order
from prunet.config import params
from prunet.config.compression import Compress
from prunet.search import budget, experiments, grid
from prunet.search.budget import Trial
from prunet.search.grid import Point
from prunet.search.search import search as find
from stages import search
from tests import toys
from tests.toy_pipeline import sh
from tests.toy_tools import invoke, refusal

VALUES = {
    **{"round": ["04", "last"], "amount": [0.8, 0.9], "share": [0.5], "temperature": [2.0, 4.0]},
    **{"bits": [2, 3, 4], "percentile": [100.0], "ends": [True, False]},
}


def points(*combinations):
    return grid.every({"combinations": [name.split("+") for name in combinations], "search": VALUES})


def row(accuracy, size=100, p=0.01):
    costs = {"bytes": size, "macs": 10, "ms_median": 1.0}
    tested = {"accuracy_mean": 0.123, "difference": -0.01, "replicates": 5, "p_not_worse_holm": p}
    return {"val_accuracy_mean": accuracy, **costs, **tested}


def trial(name, *values, fault=""):
    return Trial(Point(name, ()), {} if fault else row(*values), fault)


def test_a_point_has_the_settings_of_its_steps_and_no_others():
    assert points("prune+distill+prune+shared-values")[0] == Point(
        "prune+distill+prune+shared-values",
        (("round", "04"), ("share", 0.5), ("temperature", 2.0), ("bits", 2)),
    )
    assert len(points("int4", "int8", "prune+shared-values", "int8")) == 1 + 2 + 2 * 3
    assert set(grid.OF_STEPS) <= set(order.NAMES)
    assert {name for names in grid.OF_STEPS.values() for name in names} == set(VALUES)


def test_a_point_is_an_experiment_of_its_own():
    (point, *_) = found = points("low-rank+int8", "prune+int8", "int4")
    assert point.name("digits") == "digits-low-rank-int8-amount=0.8-percentile=100.0-ends=true"
    assert point.overrides("digits") == [
        'compress.studies=["digits"]',
        'compress.combinations=[["low-rank", "int8"]]',
        "compress.rank.amount=0.8",
        "compress.percentile=100.0",
        "compress.ends=true",
    ]
    assert len({point.name("digits") for point in found}) == len(found)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"bits": []}, "at least 1 item"),
        ({"bits": [9]}, "less than or equal to 8"),
        ({"amount": [0.5, 3.0]}, "amount is 3.0, and energy is a share"),
        ({"steps": [1]}, "Extra inputs"),
    ],
)
def test_values_that_cannot_be_are_refused(change, reason):
    compress = toys.params_values()["compress"]
    with pytest.raises(ValidationError, match=reason):
        Compress.model_validate(compress | {"search": compress["search"] | change})


def test_validation_accuracy_decides_within_the_budget():
    tried = [trial("a", 0.9, 100), trial("b", 0.95, 101), trial("c", 0.8, 10), trial("d", fault="no")]
    names = [one.point.combination for one in budget.ranked(tried, {"bytes": 100})]
    assert names == ["a", "c"]
    assert budget.ranked(tried, {"bytes": 100, "ms": 0.5}) == []


def test_of_equally_accurate_ones_the_smaller_wins():
    tried = [trial("a", 0.9, 90), trial("b", 0.9, 80), trial("c", 0.9, 85)]
    assert budget.ranked(tried, {"bytes": 100})[0] is tried[1]


def test_the_closest_is_the_one_with_the_smallest_excess():
    tried = [trial("a", 0.9, 90), trial("b", 0.5, 60), trial("c", fault="no")]
    assert budget.closest(tried, {"bytes": 50}) is tried[1]
    assert budget.closest(tried[2:], {"bytes": 50}) is None


def test_the_verdict_of_the_winner_counts_all_trials():
    best = trial("a", 0.9, 90, 0.01)
    others = [trial(name, 0.8, 90, 0.5) for name in "bc"]
    assert budget.not_worse(best, [best, others[0]]) == "not worse"
    assert budget.not_worse(best, [best, *others, trial("d", fault="no")]) == "not shown"


@pytest.mark.parametrize("seed", range(2))
def test_every_point_is_tried_once_and_few_trials_find_what_is_good(seed):
    """Bits are bytes, and accuracy; what needs more than the budget is the most accurate."""
    grown = points("prune+distill+shared-values", "prune+shared-values", "low-rank+int8", "int4")
    asked = []

    def measure(point):
        asked.append(point)
        bits = dict(point.values).get("bits", 8)
        return Trial(point, {}, "no") if point.combination == "int4" else Trial(point, row(bits / 10, bits))

    for count in (8, len(grown) - 1, 99):
        asked.clear()
        tried = find(grown, VALUES, measure, {"bytes": 3}, count, seed)
        assert len(asked) == len(set(asked)) == len(tried) == min(count, len(grown))
        if count >= len(grown):
            assert asked == grown
            assert dict(budget.ranked(tried, {"bytes": 3})[0].point.values)["bits"] == 3


def test_the_same_results_lead_to_the_same_points():
    def measure(point):
        return Trial(point, row(len(str(point)) / 100))

    runs = [
        find(points("prune+shared-values", "low-rank+int8", "int8"), VALUES, measure, {"bytes": 1}, 9, 3)
        for _ in range(2)
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("size=3", "--at-most size=3: 'size' is not a cost; choose among bytes, macs, ms"),
        ("bytes", "--at-most bytes: '' is not a number; write e.g. bytes=20000"),
        ("bytes=many", "'many' is not a number"),
        ("ms=-1", "--at-most ms=-1: the budget must be above 0"),
        ("ms=nan", "must be above 0"),
    ],
)
def test_a_wrong_budget_is_one_sentence(text, reason):
    assert reason in refusal(search, "digits", "--at-most", text)


# A study whose stage `compress` takes no networks: bytes grow with the bits, and 3 bits are too few for it.
STAGE = """
import sys
sys.path.insert(0, {root!r})
from ruamel.yaml import YAML
from pathlib import Path
compress = YAML(typ="safe").load(Path("params.yaml"))["compress"]
with open({runs!r}, "a") as file:
    print(compress["bits"], file=file)
if compress["bits"] == 3:
    print("Error: three bits are too few.")
    sys.exit(2)
names = ["dense", "+".join(compress["combinations"][0])]
text = "combination,replicates,accuracy_mean,val_accuracy_mean,difference,p_not_worse_holm,"
text += "bytes,macs,ms_median\\n"
for name in names:
    text += f"{{name}},5,0.7654,{{compress['bits'] / 10}},-0.01,0.01,{{1000 * compress['bits']}},10,0.5\\n"
Path("metrics/digits").mkdir(parents=True)
Path("metrics/digits/pareto.csv").write_text(text)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A DVC project with the parameters of prunet and a stage `compress` that takes no time."""
    folder = tmp_path_factory.mktemp("search") / "project"
    folder.mkdir()
    values = toys.params_values()
    values["studies"] = {"digits": values["studies"].pop("toy")}
    values["compress"] |= {"combinations": [["prune", "shared-values"]]}
    values["compress"]["search"] |= {"round": ["last"], "bits": [2, 3, 4]}
    (folder / "params.yaml").write_text(json.dumps(values))
    runs = folder.parent / "runs"
    (folder / "stage.py").write_text(STAGE.format(root=str(toys.PARAMS.parent), runs=str(runs)))
    stage = {
        "matrix": {"study": "${compress.studies}"},
        "cmd": "python stage.py",
        "params": ["compress"],
        "metrics": [{"metrics/${item.study}/pareto.csv": {"cache": False}}],
    }
    (folder / "dvc.yaml").write_text(json.dumps({"stages": {"compress": stage}}))
    (folder / ".gitignore").write_text("/.checkpoints\n")
    sh(folder, "git", "init", "-q")
    sh(folder, "git", "config", "user.name", "test")
    sh(folder, "git", "config", "user.email", "test@example.org")
    sh(folder, sys.executable, "-m", "dvc", "init", "-q")
    sh(folder, "git", "add", "-A")
    sh(folder, "git", "commit", "-qm", "project")
    return SimpleNamespace(folder=folder, runs=runs)


@pytest.mark.slow
def test_a_search_runs_experiments_beside_the_working_folder_and_none_twice(project, monkeypatch):
    monkeypatch.chdir(project.folder)
    before = {path: path.read_bytes() for path in Path().iterdir() if path.is_file()}
    given = "digits", "--at-most", "bytes=3500"
    done = invoke(search, *given, "--trials", 9)
    assert done.exit_code == 0, done.output
    assert "3 of 3 settings tried, 1 within bytes ≤ 3,500, 1 failed" in done.output
    assert "bits=3: three bits are too few." in done.output
    assert done.output.count("76.54%") == 1  # the test accuracy of the winner alone
    name = "digits-prune-shared-values-round=last-bits=2"
    assert f"dvc exp apply {name}" in done.output
    assert {path: path.read_bytes() for path in Path().iterdir() if path.is_file()} == before
    assert sh(project.folder, "git", "status", "--porcelain") == ""
    assert project.runs.read_text().split() == ["2", "3", "4"]

    again = invoke(search, *given, "--trials", 9)
    assert (again.stdout, again.exit_code) == (done.stdout, 0)
    assert project.runs.read_text().split() == ["2", "3", "4", "3"]  # a failed one is tried again

    message = refusal(search, "digits", "--at-most", "bytes=1000")
    assert "Nothing that was tried fits bytes ≤ 1,000: prune+shared-values round=last bits=2" in message
    (project.folder / "params.yaml").write_text(before[Path("params.yaml")].decode() + "\n")
    assert "params.yaml has changes that are not committed" in refusal(search, *given)
    sh(project.folder, "git", "checkout", "-q", "params.yaml")
    sh(project.folder, sys.executable, "-m", "dvc", "exp", "apply", "-q", name)
    assert params.read(Path("params.yaml"))["compress"]["bits"] == 2


def test_a_folder_without_commits_or_dvc_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "params.yaml cannot be read" in refusal(search, "digits", "--at-most", "ms=1")
    subprocess.run(["git", "init", "-q"], check=True)
    with pytest.raises(InputError, match="not a DVC project with a commit"):
        experiments.baseline()


def test_a_study_or_round_that_does_not_exist_is_one_sentence():
    values = toys.params_values()
    with pytest.raises(InputError, match="has no study 'faces': choose among toy"):
        search.checked(values, "faces")
    values["compress"]["search"]["round"] = ["07"]
    with pytest.raises(InputError, match=r"compress\.search\.round has 07, .*choose among last, 00, 01"):
        search.checked(values, "toy")
