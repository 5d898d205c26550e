"""Faults in short: the campaigns of `python -m faults` with a few cases, and each kind of damage by name."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import faults.__main__ as faults_main
from faults import clocks, damage, decoders, disks, full_disk, kills, miniature, places, together
from faults.outcomes import Outcome
from prunet.base import files, tensors
from prunet.base.errors import InputError
from prunet.cells import storage as tickets

NO_DISK = disks.mountable()
needs_disk = pytest.mark.skipif(bool(NO_DISK), reason=NO_DISK)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    damage.toy(folder)
    return folder


@pytest.fixture
def toy(study, tmp_path):
    shutil.copytree(study, tmp_path / "toy")
    return tmp_path / "toy"


def refusal(toy, stage):
    """Run a stage that must refuse; return its sentence."""
    before = damage.contents(toy, stage)
    result = damage.run(toy, damage.STEPS[stage])
    assert result.exit_code == 2, result.output
    assert damage.complaint(result) is None
    assert damage.contents(toy, stage) == before
    return result.stderr


def halve(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


INPUTS = [(stage, name) for stage, step in damage.STEPS.items() for name in step.inputs]


@pytest.mark.parametrize(("stage", "name"), INPUTS)
def test_a_file_cut_in_half_is_refused_by_name(toy, stage, name):
    halve(toy / name)
    assert Path(name).name in refusal(toy, stage)


@pytest.mark.parametrize(("stage", "name"), INPUTS)
def test_a_missing_file_is_refused_by_name(toy, stage, name):
    (toy / name).unlink()
    said = refusal(toy, stage)
    assert Path(name).name in said
    assert "does not exist" in said


def rewrite(path, change):
    arrays, about = tensors.read(path)
    change(arrays, about)
    tensors.write(path, {name: np.ascontiguousarray(array) for name, array in arrays.items()}, about)


@pytest.mark.parametrize("stage", ["train", "retrain original"])
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays, _: arrays.update(images=arrays["images"].astype(np.float32)), "images are float32"),
        (lambda arrays, _: arrays.update(images=arrays["images"][:, 0]), "images are uint8 of shape"),
        (lambda arrays, _: arrays.update(labels=arrays["labels"] + 1), "labels from 1 to 3 for 3 classes"),
        (lambda arrays, _: arrays.update(split=arrays["split"] * 0), "a split of [0]"),
        (lambda _, about: about.update(class_names=["a", "b"]), "labels from 0 to 2 for 2 classes"),
    ],
)
def test_a_wrong_dataset_is_refused_by_name(toy, stage, change, says):
    rewrite(toy / "data", change)
    said = refusal(toy, stage)
    assert "data is not a dataset file" in said
    assert says in said


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("prune", "original/00/weights.safetensors"),
        ("retrain trained", "original/00/weights.safetensors"),
        ("retrain original", "init"),
        ("retrain rewind", "early"),
    ],
)
def test_weights_that_are_not_finite_are_refused_by_name(toy, stage, name, value):
    rewrite(toy / name, lambda arrays, _: arrays["fc1.weight"].flat.__setitem__(0, value))
    assert "fc1.weight, which has values that are not finite" in refusal(toy, stage)


SCHEMES = [f"retrain {scheme}" for scheme in damage.SCHEMES]


@pytest.mark.parametrize("stage", SCHEMES)
@pytest.mark.parametrize("kind", ["other layers", "a layer less", "another shape", "other replicates"])
def test_masks_of_another_network_are_refused(toy, stage, kind):
    masks = tickets.load_masks(toy / "01.masks")
    changed = {
        "other layers": {f"conv.{name}": mask for name, mask in masks.items()},
        "a layer less": dict(list(masks.items())[1:]),
        "another shape": {name: np.swapaxes(mask, 1, 2) for name, mask in masks.items()},
        "other replicates": {name: mask[:1] for name, mask in masks.items()},
    }
    tickets.save_masks(toy / "01.masks", changed[kind])
    assert "study toy: the masks are of another model" in refusal(toy, stage)


def test_start_values_of_another_network_are_refused(toy):
    weights = tickets.load_weights(toy / "init")
    tickets.save_weights(toy / "init", weights | {"fc1.weight": weights["fc1.weight"][:, :, :7]})
    assert "study toy: the start values or masks are of another model" in refusal(toy, "retrain original")


def test_masks_and_weights_of_two_networks_are_refused_when_pruning(toy):
    shutil.copy(toy / "01.masks", toy / "original" / "00" / "masks.safetensors")
    assert "do not belong together" in refusal(toy, "prune")


@pytest.mark.parametrize("content", ["{}", "[]", '{"density": NaN}', "null"])
def test_a_result_of_another_kind_is_refused(toy, content):
    (toy / "random" / "00" / "result.json").write_text(content)
    assert "result.json" in refusal(toy, "summarize")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda result: result.update(networks=[]), "networks: "),
        (lambda result: result["networks"][0].pop("early"), "networks.0.early: field required"),
        (
            lambda result: result["networks"][1]["final"].update(test_accuracy="1"),
            "networks.1.final.test_acc",
        ),
        (
            lambda result: result["networks"][0]["curve"]["step"].pop(),
            "step and val_accuracy are of different",
        ),
        (lambda result: result["networks"][1]["curve"]["step"].reverse(), "looked at after different steps"),
    ],
)
def test_a_result_that_lacks_something_is_refused_by_its_place(toy, damage, says):
    path = toy / "random" / "00" / "result.json"
    result = json.loads(path.read_text())
    damage(result)
    path.write_text(json.dumps(result))
    assert says in refusal(toy, "summarize")


@pytest.mark.parametrize(
    ("stage", "name", "says"),
    [
        ("summarize", "metrics/footprint.csv", "footprint.csv has no round 01"),
        ("plot", "metrics/summary.csv", "summary.csv has no round 01"),
    ],
)
def test_a_table_that_ends_with_a_whole_line_too_early_is_refused(toy, stage, name, says):
    rows = pd.read_csv(toy / name, dtype=str)
    rows[rows["round"] != "01"].to_csv(toy / name, index=False)
    assert says in refusal(toy, stage)


@pytest.mark.parametrize(("stage", "name"), [case for case in INPUTS if case[1].endswith(".csv")])
def test_a_table_without_its_columns_or_with_text_for_a_number_is_refused(toy, stage, name):
    whole = (toy / name).read_text()
    (toy / name).write_text("a,b\n1,2\n")
    assert "has no column" in refusal(toy, stage)
    first, second, rest = whole.split("\n", 2)
    columns = first.split(",")
    values = second.split(",")
    for column in ("bytes_dense", "accuracy", "accuracy_mean", "epoch"):
        if column in columns:
            values[columns.index(column)] = "many"
    if values == second.split(","):
        return
    (toy / name).write_text("\n".join([first, ",".join(values), rest]))
    assert Path(name).name in refusal(toy, stage)


def test_damage_at_random_is_refused_or_does_no_harm():
    outcome = damage.campaign(25)
    assert outcome.cases == 25
    assert outcome.problems == []


@needs_disk
def test_stages_that_cannot_write_say_so_and_leave_the_old_output():
    outcome = places.campaign(12)
    assert outcome.cases == 12
    assert outcome.problems == []


@needs_disk
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("full", "No space left on device): free some space"),
        ("read-only", "Read-only file system"),
        ("forbidden", "Permission denied): mend the permissions"),
    ],
)
def test_the_sentence_names_the_place_the_reason_and_what_to_do(tmp_path, kind, says):
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):  # pytest's, which nobody else may enter
            folder.chmod(0o755)
    with disks.disk(tmp_path, 2**20):
        path = tmp_path / "table.csv"
        files.write_rows(path, ["a"], [{"a": "old"}])
        with places.trouble(kind, tmp_path, 0), pytest.raises(InputError) as error:
            files.write_rows(path, ["a"], [{"a": "x" * 2**20}])
        assert str(path) in error.value.message
        assert says in error.value.message
        assert path.read_text() == "a\nold\n"
        assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_mutated_images_are_refused_or_decoded():
    outcome = decoders.campaign(400)
    assert outcome.cases == 400
    assert outcome.problems == []


def test_what_crashes_or_hangs_the_decoders_is_named_and_the_others_go_on(monkeypatch):
    """The watching process, with work that fails in every way: the campaign itself must be able to fail."""
    monkeypatch.setattr(decoders, "SECONDS", 2)
    monkeypatch.setattr(decoders, "_decode", misbehave)
    problems = decoders.campaign(5).problems
    assert [problem.split(" ", 5)[-1] for problem in problems] == [
        "ended the process",
        "took more than 2 seconds",
        "raises ValueError('odd')",
    ]


def misbehave(originals, seed, first, cases, pipe):
    for number in range(first, cases):
        pipe.send(("number", number))
        if number == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        if number == 2:
            time.sleep(60)
        if number == 3:
            pipe.send(("problem", f"image {number} of seed {seed} raises ValueError('odd')"))
    pipe.send(("number", cases))
    pipe.send(("end", ""))


def test_every_kind_of_sample_decodes():
    for data in decoders.samples():
        assert decoders.verify(data, decoders.MAX_PIXELS)


def test_kills_are_spread_over_all_stages():
    stages = list("abcdefgh")
    rng = decoders.random.Random(0)
    assert kills.planned(stages, 8, rng) == stages
    assert kills.planned(stages, 4, rng) == list("aceg")
    many = kills.planned(stages, 30, rng)
    assert len(many) == 30
    assert many == sorted(many)
    assert set(many) == set(stages)


def test_the_command_prints_what_was_lost_and_exits_with_1_if_anything_was(monkeypatch):
    for problems, code in (([], 0), (["gone"], 1)):
        outcome = Outcome("kills", 2, problems)
        monkeypatch.setitem(
            faults_main.CAMPAIGNS, "kills", (lambda cases, o=outcome: o._replace(cases=cases), 50)
        )
        done = CliRunner().invoke(faults_main.main, ["--only", "kills", "--cases", "7"])
        assert done.exit_code == code
        assert done.stdout.splitlines()[1].split() == [
            "kills",
            "7",
            str(7 - len(problems)),
            str(len(problems)),
        ]


def test_what_differs_is_left_or_is_damaged_is_found(tmp_path):
    """A copy without DVC's part: the comparison that ends every campaign must be able to fail."""
    for name in ("data/a", "data/b", "metrics/latency.csv", "metrics/digits/report.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text('{\n"a": 1,\n"ms_dense_1": 3\n}')
    expected = miniature.contents(tmp_path)
    assert set(expected) == {"data/a", "data/b", "metrics/digits/report.json"}
    (tmp_path / "metrics/digits/report.json").write_text('{\n"a": 1,\n"ms_dense_1": 4\n}')
    assert miniature.contents(tmp_path) == expected
    (tmp_path / "data" / "c.partial").mkdir()
    (tmp_path / ".unfinished" / "digits").mkdir(parents=True)
    (tmp_path / ".unfinished" / "digits" / "0.safetensors").write_text("")
    assert [Path(said.split()[0]).name for said in miniature.leftovers(tmp_path)] == [
        "c.partial",
        "0.safetensors",
    ]
    cache = tmp_path / ".dvc/cache/files/md5/d4"
    cache.mkdir(parents=True)
    (cache / "1d8cd98f00b204e9800998ecf8427e").write_text("")
    assert not miniature.damaged_cache(tmp_path)
    (cache / "1d8cd98f00b204e9800998ecf8427e").write_text("x")
    assert len(miniature.damaged_cache(tmp_path)) == 1


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_loses_nothing():
    """`test_pipeline.py` kills a training, which goes on from its checkpoint."""
    outcome = kills.campaign(2, "images@digits")
    assert outcome.cases >= 2
    assert outcome.problems == []
    assert outcome.notes == ["killed in 2 of 2 stages"]


@pytest.mark.slow
@needs_disk
def test_a_run_whose_disk_is_full_goes_on_when_there_is_space():
    outcome = full_disk.campaign(1, "images@digits")
    assert outcome.problems == []
    assert outcome.notes[0].endswith("1 of 1 sizes were too small")


@pytest.mark.slow
def test_two_runs_at_once_and_files_of_another_time_lose_nothing():
    assert together.campaign(1, "images@digits").problems == []
    assert clocks.campaign(1, "check").problems == []


def test_a_campaign_that_does_not_end_is_lost_and_the_next_one_runs(monkeypatch):
    def broken(cases):
        raise RuntimeError("an undisturbed run fails")

    monkeypatch.setitem(faults_main.CAMPAIGNS, "clocks", (broken, 3))
    monkeypatch.setitem(faults_main.CAMPAIGNS, "kills", (lambda cases: Outcome("kills", cases, []), 50))
    done = CliRunner().invoke(faults_main.main, ["--only", "clocks", "--only", "kills"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:] == [
        "clocks (did not end)                                       0         0     0",
        "kills                                                     50        50     0",
    ]
    assert "clocks: RuntimeError('an undisturbed run fails')" in done.stderr
