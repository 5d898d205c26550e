"""Validation of params.yaml by the stage `check`."""

import copy
import json
from typing import get_args

import pytest
from click.testing import CliRunner
from ruamel.yaml import YAML

from prunet.base.errors import InputError
from prunet.config import params, pruning
from prunet.config.pruning import Prune
from prunet.config.study import Study, Training
from prunet.models import built_in as models
from prunet.pruning import removal
from prunet.training import optimizers
from stages import check, rounds
from tests.toys import PARAMS

VALUES = YAML(typ="safe", pure=True).load(PARAMS)


def changed(tmp_path, *changes):
    """Write params.yaml with some values changed, or removed where the value is `...`."""
    values = copy.deepcopy(VALUES)
    for path, value in changes:
        *parents, last = path.split(".")
        block = values
        for key in parents:
            block = block[key]
        if value is ...:
            del block[last]
        else:
            block[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(json.dumps(values))  # which is YAML
    return file


def refusal(tmp_path, *changes):
    with pytest.raises(InputError) as refused:
        params.load(changed(tmp_path, *changes))
    return refused.value.message


def test_the_committed_values_are_valid_and_come_back_as_written():
    written = copy.deepcopy(VALUES)
    written["stability"]["rounds"] = ["00", "04", "last"]
    assert params.load(PARAMS) == written


TRAINING = VALUES["studies"]["digits"]["training"]
SKIPPED = [VALUES["prune"]["rounds"][0], {"n": "02", "from": "dense"}]  # round 01


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("prune.rate", 1.2, "prune.rate is 1.2: input should be less than 1"),
        ("prune.rate", "lots", "prune.rate is 'lots': input should be a valid number"),
        ("prune.ratee", 0.2, "prune.ratee is not a known name"),
        ("prune.target", {"parameters": 1.5}, "prune: target.parameters is 1.5; give a share between 0 and"),
        (
            "prune.target",
            {"macs": 0.5},
            "target.macs does not change when criterion magnitude removes single",
        ),
        ("prune.target", {"flops": 0.5}, "'flops', which is not a cost; choose from macs, parameters, bytes"),
        ("prune.round_to", 8, "round_to is 8, and criterion magnitude removes single weights"),
        ("prune.scope", ..., "prune.scope is missing"),
        ("prune.criterion", "luck", "'luck' is not a criterion: choose from magnitude, lamp,"),
        ("prune.schemes", ["luck"], "prune.schemes.0: 'luck' is not a scheme: choose from early-bird,"),
        ("prune.chain", "rigl", "prune.chain: 'rigl' is not a scheme that can be the chain: choose from"),
        ("prune.schemes", ["original"] * 2, "prune: schemes lists a scheme twice: original, original"),
        ("prune.schemes", ["trained"], "chain is 'original', which is not among the schemes (trained)"),
        ("studies.digits.layers.own_rate", {"fc1": 1.5}, "studies.digits.layers.own_rate.fc1 is 1.5: input"),
        ("prune.rounds", SKIPPED, "has {n: '02', from: 'dense'} where schedule iterative needs {n: '01', "),
        ("prune.schedule", "one-shot", "where schedule one-shot needs {n: '02', from: 'dense'}"),
        *(
            (
                "studies.digits.model",
                wrong,
                f"studies.digits.model: is {wrong!r}: must be one of lenet-300-100,",
            )
            for wrong in ("alexnet", "torchvision:", "net.py:", ":net", "net.py:2", "a b:net", 5)
        ),
        ("studies.digits.weights", "", "studies.digits.weights is ''"),
        ("studies.digits.head", "keeep", "studies.digits.head is 'keeep'"),
        ("studies.digits.normalise", {"mean": [0.5], "std": [0]}, "studies.digits.normalise.std.0 is 0"),
        ("studies.digits.normalise", {"mean": [127], "std": [0.5]}, "studies.digits.normalise.mean.0 is 127"),
        (
            "studies.digits.normalise",
            "unit",
            "studies.digits.normalise is 'unit': input should be 'unit-norm'",
        ),
        ("networks", "", "networks is ''"),
        ("studies.digits.replicates", 0, "studies.digits.replicates is 0: input should be greater"),
        ("studies.digits.data.set", "mnist2", "studies.digits.data.set is 'mnist2': input should be"),
        ("studies.digits.data.val", 0.2, "val is 0.2: in the set optdigits it is a number of images,"),
        ("studies.faces.data.test", 180, "test is 180: in the set faces it is a share of each person's"),
        ("studies.faces.data.val", 0.9, "val is 0.9 and test 0.1: they leave no images for training"),
        ("studies.digits.rewind", 200, "rewind is 200, and the training has 200 steps: rewind to"),
        ("studies.digits.rewind", -1, "studies.digits.rewind: is -1: must be a step, such as 500, or a"),
        *(
            ("studies.digits.rewind", wrong, f"rewind: is {wrong!r}: must be a step")
            for wrong in ("2 days", 1.5, True)
        ),
        ("studies.digits.training.steps", 1.5, "studies.digits.training.steps is 1.5"),
        ("studies.digits.training.threads", 0, "studies.digits.training.threads is 0"),
        ("studies.digits.training.nesterov", True, "nesterov: true needs optimizer sgd and a momentum"),
        ("studies.digits.training.schedule", "step", "schedule: step needs milestones"),
        (
            "studies.digits.training",
            TRAINING | {"schedule": "step", "milestones": [100, 200]},
            "milestones has 200, and the training 200 steps",
        ),
        ("studies.digits.training.recalibrate", 59, "recalibrate is 59 images, and a batch has 60: give 0"),
        (
            "studies.digits.training",
            TRAINING | {"mixup": 0.2, "batch_size": 1},
            "mixup and cutmix mix the images of a batch: set batch_size to at least twice",
        ),
        ("studies.digits.training.freeze", 200, "freeze is 200, and the training has 200 steps: freeze"),
        (
            "crop.keep",
            "most-alike",
            "crop: keep is most-alike, which compares embeddings: set embedding: sface",
        ),
        ("studies", {"../up": {}}, "studies.../up is '../up': string should match pattern"),
        ("dynamic.drop", 0, "dynamic.drop is 0: input should be greater than 0"),
        ("dynamic.begin", 0.75, "dynamic: begin is 0.75 and end 0.75: begin must be smaller"),
        ("report.scheme", "static", "report.scheme is 'static', which is not among prune.schemes"),
        ("report.round", "17", "report.round is '17', and prune.rounds has no such n"),
        ("export.scheme", "static", "export.scheme is 'static', which is not among prune.schemes"),
        ("export.round", "9", "export.round is '09', and prune.rounds has no such n"),
        ("export.replicate", 2, "export.replicate is 2, and studies.faces has replicates 0 to 1"),
        ("export.bits", 9, "export.bits is 9: input should be less than or equal to 8"),
        ("footprint.batches", [1, 0], "footprint.batches.1 is 0"),
        ("sweep.studies", ["cats"], "sweep.studies has 'cats', which is not among studies"),
        ("sensitivity.studies", ["cats"], "sensitivity.studies has 'cats', which is not among studies"),
        ("sensitivity.criterion", "magnitude", "'magnitude' is not a criterion of whole units with"),
        ("sensitivity.criterion", "unit-fisher", "is not a criterion of whole units without gradients"),
        ("sensitivity.shares", [0.5, 1.0], "sensitivity.shares.1 is 1: input should be less than 1"),
        ("claims.studies", ["cats"], "claims.studies has 'cats', which is not among studies"),
        ("stability.studies", ["cats"], "stability.studies has 'cats', which is not among studies"),
        ("stability.from", ["late"], "stability.from.0: is 'late': must be a step, such as 500, or a time"),
        ("embedding.studies", ["cats"], "embedding.studies has 'cats', which is not among studies"),
        (
            "embedding.studies",
            ["digits"],
            "embedding.studies has digits, which needs set: faces and source: data",
        ),
        (
            "embedding.studies",
            ["faces"],
            "needs the embeddings of the stage crop: set embedding: sface in crop",
        ),
        ("new_people.studies", ["cats"], "new_people.studies has 'cats', which is not among studies"),
        ("new_people.studies", ["digits"], "new_people.studies has digits, which needs set: faces"),
        ("new_people.false_accepts", 0.0, "new_people.false_accepts is 0"),
        ("crop.keep", "all", "crop.keep is 'all'"),
        ("seed", -1, "seed is -1: input should be greater than or equal to 0"),
        ("checkpoint_seconds", -1, "checkpoint_seconds is -1"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path, path, value, says):
    assert says in refusal(tmp_path, (path, value))


def claim(**values):
    return {"claim": "so it is", "measure": "accuracy", "scheme": "original", "round": "01"} | values


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (claim(), "claims.published.0: a claim of measure accuracy needs either equals or above"),
        (claim(equals=1.0, above=2.0), "needs either equals or above"),
        (claim(measure="best", equals=1.0), "is the density of its round: leave out equals and above"),
        (claim(measure="best", round="17"), "claims.published.0 is about round 17, and prune.rounds has no"),
        (claim(above=0.0, scheme="rigl"), "published.0 is about rigl, which is not among prune.schemes"),
        (claim(above=0.0, against="trained"), "claims.published.0.against is 'trained'"),
    ],
)
def test_claims_are_about_cells_that_exist(tmp_path, wrong, says):
    assert says in refusal(tmp_path, ("claims", {"studies": ["digits"], "published": [wrong]}))


def test_distortions_of_pixels_need_images_whose_pixels_are_known(tmp_path):
    block = "studies.digits"
    changes = (f"{block}.normalise", "unit-norm"), (f"{block}.training.augment", "rand-augment")
    assert "rand-augment distorts pixels from 0 to 255" in refusal(tmp_path, *changes)


HALF = {"prune.target": {"parameters": 0.5}}
RANDOM = {"prune.chain": "random"}
DIGITS = {"stability.studies": ["digits"]}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prune.schemes": ["original", "fine-tune"]}, "that of studies.faces is zero: choose another"),
        (
            {"prune.schemes": ["original", "set"], "dynamic.every": 50},
            "in the 60 steps of studies.faces no mask would change between begin and end: lower it",
        ),
        (  # after step 0, which never comes, and after step 40, the last, when nothing is replaced
            {"prune.schemes": ["original", "rigl"], "dynamic.every": 40},
            "in the 60 steps of studies.faces no mask would change between begin and end: lower it",
        ),
        (
            {"prune.schemes": ["original", "set"], "studies.digits.training.freeze": 10},
            "in the 10 steps in which studies.digits trains its head alone (freeze): begin later, or freeze",
        ),
        (
            {"prune.schemes": ["original", "early-bird"]},
            "early-bird, whose masks settle after 6 updates at the earliest, and studies.faces has 4: lower",
        ),
        (
            {"prune.schemes": ["original", "sparse-momentum"], "studies.digits.training.optimizer": "sgd"},
            "sparse-momentum, and studies.digits trains without momentum",
        ),
        (
            RANDOM | DIGITS | {"prune.schemes": ["random", "trained"]},
            "stability needs the scheme original among",
        ),
        (
            RANDOM | {"prune.criterion": "snip"},
            "criterion snip uses the weights of step 0, and chain 'random' does not start from them",
        ),
        (
            RANDOM | {"studies.faces.reinits": 3},
            "prune.chain is 'random', which needs reinits: 1, and studies.faces has more",
        ),
        ({"prune.criterion": "lamp"}, "with scope layer it would be magnitude; set scope to global"),
        (
            HALF | {"prune.scope": "sensitivity"},
            "scope sensitivity spreads a target over layers: give target",
        ),
        (
            {"prune.scope": "sensitivity", "prune.criterion": "unit-l2"},
            "scope sensitivity spreads a target over layers: give target",
        ),
        (HALF | {"prune.output_rate_factor": 0.5}, "output_rate_factor is a factor of rate, which target"),
        (HALF | {"prune.empty_layers": "refuse"}, "target leaves something of every layer: set empty_layers"),
        (
            HALF
            | {"prune.rounds": [{"n": "00", "from": "dense"}], "report.round": "00", "export.round": "00"},
            "target needs a round that prunes, and rounds has none after 00",
        ),
        (
            DIGITS | {"stability.rounds": ["00", "17"]},
            "stability.rounds has '17', and prune.rounds has no such n",
        ),
        (
            DIGITS | {"stability.from": ["1 epoch", 200]},
            "stability.from has 200, and the training of studies.digits 200 steps: give earlier ones",
        ),
    ],
)
def test_values_that_do_not_fit_each_other_are_refused(tmp_path, changes, says):
    if "original" not in changes.get("prune.schemes", ["original"]):
        changes = changes | {"report.scheme": "random", "export.scheme": "random"}
    assert says in refusal(tmp_path, *changes.items())


def test_all_wrong_values_are_listed_at_once(tmp_path):
    file = changed(tmp_path, ("prune.rate", 0), ("seed", "x"), ("crop.kep", "largest"))
    result = CliRunner().invoke(check.main, [str(file), str(tmp_path / "models"), str(tmp_path / "out")])
    assert result.exit_code == 2
    for says in ("seed is 'x'", "prune.rate is 0", "crop.kep is not a known name"):
        assert f"{file}: {says}" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "content",
    [
        *(b"a: [", b"{", b"[" * 1000, b"&a [*a]", b"? [1]\n: 2", b"\xff\xfe\x00", b"\0", b"just text", b""),
        *(b"a: 2026-02-31", b"seed: 2001-13-45", b"9" * 5000, b"a: !!python/name:os"),
    ],
)
def test_files_that_are_not_params_are_refused(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"params\.yaml"):
        params.load(file)
    with pytest.raises(InputError, match=r"gone\.yaml cannot be read"):
        params.load(tmp_path / "gone.yaml")


@pytest.mark.parametrize(("text", "number"), [("1e-5", 1e-5), ("1.0e-05", 1e-5), ("0", 0), (".5", 0.5)])
def test_numbers_are_those_of_yaml_1_2(tmp_path, text, number):
    """As DVC reads them; in YAML 1.1, 1e-5 is a string."""
    file = tmp_path / "params.yaml"
    file.write_text(PARAMS.read_text().replace("weight_decay: 0.0", f"weight_decay: {text}"))
    found = params.load(file)["studies"]["digits"]["training"]["weight_decay"]
    assert (found, type(found)) == (number, float)


@pytest.mark.field
def test_whole_numbers_may_have_an_exponent(tmp_path):
    training = {"studies.digits.training.steps": 1e4, "studies.digits.training.milestones": [5e3]}
    changes = training | {"studies.digits.data.memory": 4e9, "sample.photos": 1e2}
    values = params.load(changed(tmp_path, *changes.items()))
    found = values["studies"]["digits"]["training"]
    assert [found["steps"], *found["milestones"], values["sample"]["photos"]] == [10_000, 5000, 100]
    assert "sample.photos is 1.5" in refusal(tmp_path, ("sample.photos", 1.5))


@pytest.mark.field
@pytest.mark.parametrize(
    ("written", "name"), [(4, "04"), ("4", "04"), ("04", "04"), (0, "00"), ("last", "last")]
)
def test_a_round_may_be_a_number_or_the_last(tmp_path, written, name):
    changes = {"report.round": written, "export.round": written, "stability.rounds": [written]}
    values = params.load(changed(tmp_path, *changes.items()))
    assert {values["report"]["round"], values["export"]["round"], *values["stability"]["rounds"]} == {name}


@pytest.mark.field
def test_the_last_round_follows_when_rounds_are_fewer(tmp_path):
    few = VALUES["prune"]["rounds"][:3]
    found = params.stage_params(
        params.load(changed(tmp_path, ("prune.rounds", few), ("stability.rounds", [2, "last"])))
    )
    assert found["digits/summarize"]["report"]["round"] == "02"
    assert found["digits/export"]["export"]["round"] == "02"
    assert found["digits/stability"]["rounds"] == ["02"]
    says = refusal(tmp_path, ("prune.rounds", few), ("report.round", 8))
    assert "report.round is '08', and prune.rounds has no such n" in says


@pytest.mark.field
@pytest.mark.parametrize(("options", "schedule"), [((), "iterative"), (("--one-shot",), "one-shot")])
def test_the_command_rounds_prints_a_list_that_params_take(tmp_path, options, schedule):
    done = CliRunner().invoke(rounds.main, ["5", *options])
    assert done.exit_code == 0
    assert YAML(typ="safe", pure=True).load(done.output) == pruning.rounds(6, schedule)


@pytest.mark.parametrize("rewind", [0, 199, "0 epochs", "1 epoch", "2.5 epochs"])
def test_rewind_is_a_step_or_an_epoch(tmp_path, rewind):
    values = params.load(changed(tmp_path, ("studies.digits.rewind", rewind)))
    assert values["studies"]["digits"]["rewind"] == rewind


def test_the_choices_are_those_of_the_library():
    def choices(block, name):
        return set(get_args(block.model_fields[name].annotation))

    assert choices(Study, "init") == {"own", *models.DISTRIBUTIONS}
    assert choices(Training, "optimizer") == set(optimizers.OPTIMIZERS)
    assert choices(Training, "schedule") == set(optimizers.SCHEDULES)
    assert choices(Prune, "empty_layers") == set(removal.LEAST)
