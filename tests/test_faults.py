"""Short forms of the fault campaigns (`python -m faults`), and every kind of damage on its own."""

import json
import os
import shutil
import signal
import time
from contextlib import chdir
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import faults.__main__ as faults_main
from faults import damage, decoders, disks, kills, miniature, places, together
from faults.damage import DENSE, INIT, MASKS, REWIND
from faults.outcomes import Outcome
from prunet.base import files, tensors
from prunet.base.errors import InputError
from prunet.cells import storage
from stages import check, images, train
from tests import toys  # noqa: F401 (one thread)

NO_DISK = disks.mountable()
needs_disk = pytest.mark.skipif(bool(NO_DISK), reason=NO_DISK)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    damage.toy(folder)
    return folder


@pytest.fixture
def toy(study):
    """The toy study, whose files are restored after the test."""
    whole = {path: path.read_bytes() for path in study.rglob("*") if path.is_file()}
    yield study
    for path, content in whole.items():
        if not path.exists() or path.read_bytes() != content:
            path.unlink(missing_ok=True)
            path.write_bytes(content)


def refusal(toy, stage):
    """Run a stage that must refuse its input and keep its old output; return its message."""
    before = damage.contents(toy, stage)
    result = damage.run(toy, stage)
    assert result.exit_code == 2, result.output
    assert damage.complaint(result) is None
    assert damage.contents(toy, stage) == before
    return result.stderr


INPUTS = [(stage, name) for stage, step in damage.STEPS.items() for name in step.inputs]


@pytest.mark.parametrize(("stage", "name"), INPUTS)
def test_a_truncated_or_missing_file_is_refused_by_name(toy, stage, name):
    path = toy / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert path.name in refusal(toy, stage)
    path.unlink()
    message = refusal(toy, stage)
    assert path.name in message
    assert "does not exist" in message


def test_truncated_parameters_are_refused_by_name(toy):
    path = toy / "params/toy/train.json"
    path.write_text(path.read_text()[:-5])
    assert "train.json is not JSON" in refusal(toy, "train")


def rewrite(path, change):
    arrays, metadata = tensors.read(path)
    change(arrays)
    tensors.write(path, arrays, metadata)


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("prune", f"{DENSE}/weights.safetensors"),
        ("retrain trained", f"{DENSE}/weights.safetensors"),
        ("retrain original", INIT),
        ("retrain rewind", REWIND),
    ],
)
def test_weights_that_are_not_finite_are_refused_by_name(toy, stage, name):
    rewrite(toy / name, lambda arrays: arrays["fc1.weight"].flat.__setitem__(0, np.nan))
    assert "fc1.weight, which has values that are not finite" in refusal(toy, stage)


@pytest.mark.parametrize(
    "changed",
    [
        lambda masks: {f"conv.{name}": mask for name, mask in masks.items()},
        lambda masks: dict(list(masks.items())[1:]),
        lambda masks: {name: np.swapaxes(mask, 1, 2) for name, mask in masks.items()},
        lambda masks: {name: mask[:1] for name, mask in masks.items()},
    ],
    ids=["other layers", "a layer less", "another shape", "other replicates"],
)
def test_masks_of_another_network_are_refused(toy, changed):
    storage.save_masks(toy / MASKS, changed(storage.load_masks(toy / MASKS)))
    assert "start values or masks belong to another model" in refusal(toy, "retrain random")


RESULT = f"{damage.MODELS}/cells/random/00/result.json"


@pytest.mark.parametrize("content", ["{}", "[]", '{"density": NaN}', "null"])
def test_json_that_is_not_a_result_is_refused(toy, content):
    (toy / RESULT).write_text(content)
    assert "result.json" in refusal(toy, "summarize")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda networks: networks.clear(), "networks: "),
        (lambda networks: networks[0].pop("early"), "networks.0.early: field required"),
        (lambda networks: networks[1]["final"].update(test_accuracy="1"), "networks.1.final.test_acc"),
        (lambda networks: networks[0]["curve"]["step"].pop(), "step and val_accuracy differ in length"),
        (lambda networks: networks[1]["curve"]["step"].reverse(), "evaluated after different steps"),
        (lambda networks: networks[0].update(early_stop_step=1), "networks.0: curve has no early_stop_step"),
    ],
)
def test_an_incomplete_result_is_refused_with_the_missing_part(toy, change, message):
    result = json.loads((toy / RESULT).read_text())
    change(result["networks"])
    (toy / RESULT).write_text(json.dumps(result))
    assert message in refusal(toy, "summarize")


def test_a_table_without_its_last_line_is_refused(toy):
    rows = pd.read_csv(toy / "metrics/summary.csv", dtype=str)
    rows[rows["round"] != "01"].to_csv(toy / "metrics/summary.csv", index=False)
    assert "summary.csv has no round 01" in refusal(toy, "plot")


@pytest.mark.parametrize("name", damage.STEPS["plot"].inputs)
def test_a_table_without_its_columns_or_with_text_for_a_number_is_refused(toy, name):
    table = pd.read_csv(toy / name)
    (toy / name).write_text("a,b\n1,2\n")
    assert "has no column" in refusal(toy, "plot")
    for column in {"bytes_dense", "accuracy", "accuracy_mean", "epoch"} & set(table):
        wrong = table.astype({column: object}).replace({column: table[column].iloc[0]}, "many")
        wrong.to_csv(toy / name, index=False)
        assert Path(name).name in refusal(toy, "plot")


@pytest.fixture
def copied_toy(study, monkeypatch):
    """Let campaigns copy the toy study instead of making it again."""
    monkeypatch.setattr(damage, "toy", lambda folder: shutil.copytree(study, folder, dirs_exist_ok=True))


@pytest.mark.usefixtures("copied_toy")
def test_random_damage_is_refused_or_does_no_harm():
    outcome = damage.campaign(15)
    assert outcome.cases == 15
    assert outcome.problems == []


@needs_disk
@pytest.mark.usefixtures("copied_toy")
def test_stages_that_cannot_write_say_so_and_keep_the_old_output():
    outcome = places.campaign(12)
    assert outcome.cases == 12
    assert outcome.problems == []


@needs_disk
@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("full", "No space left on device); free some disk space"),
        ("read-only", "Read-only file system"),
        ("forbidden", "Permission denied); fix the permissions"),
    ],
)
def test_the_message_has_the_path_the_reason_and_the_fix(tmp_path, kind, message):
    for folder in (tmp_path, *tmp_path.parents):
        if folder.name.startswith(("test_", "popen-", "pytest-")):  # pytest keeps other users out of these
            folder.chmod(0o755)
    with disks.disk(tmp_path, 2**20):
        path = tmp_path / "table.csv"
        files.write_rows(path, ["a"], [{"a": "old"}])
        with places.trouble(kind, tmp_path, 0), pytest.raises(InputError) as error:
            files.write_rows(path, ["a"], [{"a": "x" * 2**20}])
        assert str(path) in error.value.message
        assert message in error.value.message
        assert path.read_text() == "a\nold\n"
        assert [entry.name for entry in tmp_path.iterdir()] == ["table.csv"]


def test_mutated_images_are_rejected_or_decoded():
    outcome = decoders.campaign(300)
    assert outcome.cases == 300
    assert outcome.problems == []


def test_images_that_crash_or_block_the_decoder_are_reported_and_the_others_are_still_decoded(monkeypatch):
    """The campaign itself must be able to fail."""
    monkeypatch.setattr(decoders, "SECONDS", 0.5)
    monkeypatch.setattr(decoders, "_decode", misbehave)
    problems = decoders.campaign(5).problems
    assert [problem.split(" ", 5)[-1] for problem in problems] == [
        "ended the process",
        "took more than 0.5 seconds",
        "raises ValueError('odd')",
    ]


def misbehave(originals, seed, first, cases, pipe):
    for number in range(first, cases):
        pipe.send(("number", number))
        if number == 1:
            os.kill(os.getpid(), signal.SIGKILL)
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


@pytest.mark.parametrize(("problems", "code"), [([], 0), (["gone"], 1)])
def test_the_command_prints_what_was_lost_and_exits_with_1_if_anything_was(monkeypatch, problems, code):
    monkeypatch.setitem(faults_main.CAMPAIGNS, "kills", (lambda cases: Outcome("kills", cases, problems), 50))
    done = CliRunner().invoke(faults_main.main, ["--only", "kills", "--cases", "7"])
    assert done.exit_code == code
    assert done.stdout.splitlines()[1].split() == ["kills", "7", str(7 - code), str(code)]


def test_a_campaign_that_fails_counts_as_lost_and_the_next_one_runs(monkeypatch):
    def broken(cases):
        raise RuntimeError("an undisturbed run fails")

    monkeypatch.setitem(faults_main.CAMPAIGNS, "clocks", (broken, 3))
    monkeypatch.setitem(faults_main.CAMPAIGNS, "kills", (lambda cases: Outcome("kills", cases, []), 50))
    done = CliRunner().invoke(faults_main.main, ["--only", "clocks", "--only", "kills"])
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1:] == [
        "clocks (did not finish)                                    0         0     0",
        "kills                                                     50        50     0",
    ]
    assert "clocks: RuntimeError('an undisturbed run fails')" in done.stderr


def test_differences_leftovers_and_damaged_files_are_found(tmp_path):
    """The comparison at the end of every campaign must be able to fail."""
    table = tmp_path / "metrics/digits/footprint.csv"
    for path in (tmp_path / "data/a", tmp_path / "metrics/latency.csv", table):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("round,bytes,ms_dense_1,best_1\n00,7,3,numpy\n")
    expected = miniature.contents(tmp_path)
    assert set(expected) == {"data/a", "metrics/digits/footprint.csv"}
    table.write_text("round,bytes,ms_dense_1,best_1\n00,7,4,shrunk\n")
    assert miniature.contents(tmp_path) == expected
    table.write_text("round,bytes,ms_dense_1,best_1\n00,8,4,shrunk\n")
    assert miniature.contents(tmp_path) != expected
    for name in ("data/c.partial", ".checkpoints/digits/unfinished/dense-0.safetensors"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".checkpoints/digits/random/01").mkdir(parents=True)  # a finished cell
    assert [message.split()[0] for message in miniature.leftovers(tmp_path)] == [
        "data/c.partial",
        ".checkpoints/digits/unfinished/dense-0.safetensors",
    ]
    cache = tmp_path / ".dvc/cache/files/md5/d4"
    cache.mkdir(parents=True)
    (cache / "1d8cd98f00b204e9800998ecf8427e").write_text("")
    assert not miniature.damaged_cache(tmp_path)
    (cache / "1d8cd98f00b204e9800998ecf8427e").write_text("x")
    assert len(miniature.damaged_cache(tmp_path)) == 1


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A small copy of the checkout that has the digits, and saves a checkpoint after every step."""
    folder = tmp_path_factory.mktemp("miniature") / "clone"
    miniature.copy(folder)
    values = files.read_json(folder / "params.yaml")
    values["studies"]["digits"]["training"] |= {"steps": 60, "eval_every": 30}
    files.write_json(folder / "params.yaml", values)
    invoke(folder, check.main, "params.yaml", "models", "data/params")
    invoke(folder, images.main, "data/params/digits/images.json", "data/digits.safetensors")
    return folder


def invoke(folder, command, *arguments):
    with chdir(folder):
        result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


@pytest.mark.slow
def test_training_that_is_killed_resumes_to_the_same_bits(clone, tmp_path):
    run = ("repro", "--single-item", "train@digits")
    with miniature.started(clone, *run) as (process, _):
        while not list(clone.glob(".checkpoints/digits/unfinished/*.safetensors")):
            assert process.poll() is None
            time.sleep(0.01)
    models = clone / "models" / "digits"
    assert not (models / "dense").exists()
    code, printed = miniature.dvc(clone, *run)
    assert code == 0, printed
    assert "starts from the beginning" not in printed  # a checkpoint that cannot be used
    assert miniature.leftovers(clone) == []
    undisturbed = [tmp_path / name for name in ("init.safetensors", "rewind.safetensors", "dense")]
    inputs = ("data/params/digits/train.json", "data/digits.safetensors")
    invoke(clone, train.main, "--checkpoints", tmp_path / "checkpoints", *inputs, *undisturbed)
    for path in (*undisturbed[:2], *undisturbed[2].iterdir()):
        assert path.read_bytes() == (models / path.relative_to(tmp_path)).read_bytes()


@pytest.mark.slow
def test_two_runs_at_once_lose_nothing(clone):
    alone = ("--single-item", "sample")
    assert together.pair(clone, "sample", *alone) == []
    code, printed = miniature.dvc(clone, "repro", *alone)
    assert code == 0, printed
    assert (clone / "data/sample/list.csv").is_file()
    assert miniature.leftovers(clone) + miniature.damaged_cache(clone) == []
