from pathlib import Path
from typing import get_args

import pytest
import yaml
from click.testing import CliRunner

from prunet.base.errors import InputError
from prunet.config import params
from prunet.config.pruning import Prune
from prunet.config.study import Study, Training
from prunet.models import built_in as models
from prunet.pruning import masks
from prunet.training import optimizers
from stages import check

PARAMS = Path(__file__).parent.parent / "params.yaml"


def changed(tmp_path, path, value):
    """params.yaml with one value changed, or removed if it is `...`."""
    values = yaml.safe_load(PARAMS.read_text())
    block = values
    *parents, last = path.split(".")
    for key in parents:
        block = block[key]
    if value is ...:
        del block[last]
    else:
        block[last] = value
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def test_the_committed_values_are_valid_and_come_back_as_written():
    assert params.load(PARAMS) == yaml.safe_load(PARAMS.read_text())


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("prune.rate", 1.2, "prune.rate is 1.2: input should be less than 1"),
        ("prune.rate", "lots", "prune.rate is 'lots': input should be a valid number"),
        ("prune.chain", "random", "chain is 'random', which is not among the schemes (original)"),
        ("prune.chain", "best", "prune.chain: 'best' is no scheme that can be the chain"),
        ("prune.schemes", ["original", "original"], "schemes names one twice"),
        ("prune.rounds", [{"n": "00", "from": "../dense"}, {"n": "02", "from": "00"}], "rounds, entry 1"),
        ("prune.ratee", 0.2, "prune.ratee is not a known name"),
        ("prune.scope", ..., "prune.scope is missing"),
        (
            "studies.digits.model",
            "alexnet",
            "studies.digits.model is 'alexnet': input should be 'lenet-300-100'",
        ),
        (
            "studies.digits.replicates",
            0,
            "studies.digits.replicates is 0: input should be greater than or equal to 1",
        ),
        ("studies.digits.training.steps", 1.5, "studies.digits.training.steps is 1.5"),
        ("studies", {"../up": {}}, "studies.../up is '../up': string should match pattern"),
        ("report.scheme", "trained", "report.scheme is 'trained', which is not among prune.schemes"),
        ("report.round", "17", "report.round is '17'"),
        ("export.scheme", "random", "export.scheme is 'random', which is not among prune.schemes"),
        ("export.round", "9", "export.round is '9', which is not the n of a round"),
        ("export.replicate", 1, "export.replicate is 1, and studies.faces has replicates 0 to 0"),
        ("export.bits", 9, "export.bits is 9: input should be less than or equal to 8"),
        ("footprint.batches", [1, 0], "footprint.batches.1 is 0"),
        ("stability.studies", ["cats"], "stability.studies names 'cats', which is not among studies"),
        ("studies.digits.training.threads", 0, "studies.digits.training.threads is 0"),
        ("split.test", 20, "split: train, val and test are percent and must sum to 100, not 110"),
        ("crop.keep", "all", "crop.keep is 'all'"),
        ("seed", -1, "seed is -1: input should be greater than or equal to 0"),
    ],
)
def test_a_wrong_value_is_refused_by_name(tmp_path, path, value, says):
    file = changed(tmp_path, path, value)
    if "which is not among" in says:
        file = changed(tmp_path, "prune.schemes", ["original"])
        values = yaml.safe_load(file.read_text())
        block, key = path.split(".")
        values[block][key] = value
        file.write_text(yaml.safe_dump(values))
    run = CliRunner().invoke(check.main, [str(file), str(tmp_path / "out.json")])
    assert run.exit_code == 2
    assert says in run.stderr
    assert not (tmp_path / "out.json").exists()


def test_every_wrong_value_is_named_at_once(tmp_path):
    file = changed(tmp_path, "prune.rate", 0)
    file.write_text(file.read_text().replace("seed: 0\n", "seed: x\n"))
    with pytest.raises(InputError) as error:
        params.load(file)
    assert "seed is 'x'" in error.value.message
    assert "prune.rate is 0" in error.value.message


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"just text", b""])
def test_what_is_not_params_is_refused(tmp_path, content):
    file = tmp_path / "params.yaml"
    file.write_bytes(content)
    with pytest.raises(InputError, match=r"params\.yaml"):
        params.load(file)
    with pytest.raises(InputError, match="cannot be read"):
        params.load(tmp_path / "gone.yaml")


def test_an_unknown_study_is_named():
    with pytest.raises(InputError, match=r"no study 'cats': params.yaml has digits, faces"):
        params.study(params.load(PARAMS), "cats")


def test_the_choices_are_what_the_library_has():
    def choices(block, name):
        return set(get_args(block.model_fields[name].annotation))

    assert choices(Study, "model") == set(models.MODELS)
    assert choices(Training, "optimizer") == set(optimizers.OPTIMIZERS)
    assert choices(Training, "schedule") == set(optimizers.SCHEDULES)
    assert choices(Study, "init") == set(models.DISTRIBUTIONS)
    assert choices(Prune, "empty_layers") == set(masks.LEAST)


@pytest.mark.parametrize("rewind", [0, 199, "0 epochs", "1 epoch", "2.5 epochs"])
def test_rewinding_is_to_a_step_or_to_an_epoch(tmp_path, rewind):
    values = params.load(changed(tmp_path, "studies.digits.rewind", rewind))
    assert values["studies"]["digits"]["rewind"] == rewind


STEP = yaml.safe_load(PARAMS.read_text())["studies"]["digits"]["training"] | {
    "schedule": "step",
    "milestones": [100, 200],
}


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("studies.digits.rewind", 200, "rewind is 200, a step of a training of 200: it must be earlier"),
        ("studies.digits.training.nesterov", True, "nesterov: true is a way of sgd with momentum"),
        ("studies.digits.training.schedule", "step", "schedule: step needs milestones"),
        ("prune.schedule", "one-shot", "must be {n: '02', from: '../dense'} with schedule one-shot"),
        ("prune.layers.own_rate", ["fc1.weight=2"], "prune.layers.own_rate.0 is 'fc1.weight=2'"),
        ("studies.digits.training", STEP, "milestones has 200, and the training 200 steps"),
        ("prune.criterion", "luck", "prune.criterion: 'luck' is no criterion: there are magnitude, random,"),
        ("studies.digits.rewind", -1, "studies.digits.rewind: is -1: must be a step, such as 500, or a time"),
        ("studies.digits.rewind", "2 days", "is '2 days': must be a step, such as 500, or a time"),
        ("studies.digits.rewind", 1.5, "studies.digits.rewind: is 1.5: must be a step"),
        ("studies.digits.rewind", True, "studies.digits.rewind: is True: must be a step"),
        ("prune.chain", "rigl", "'rigl' is no scheme that can be the chain: there are original, rewind,"),
        ("prune.schemes", ["luck"], "prune.schemes.0: 'luck' is no scheme: there are original, rewind,"),
        ("prune.schemes", ["original", "fine-tune"], "that of studies.faces is zero"),
        ("dynamic.begin", 0.75, "begin is 0.75 and end 0.75: begin must come first"),
        (
            "image_studies",
            [],
            "image_studies is [], and the studies with another dataset than faces are [digits]",
        ),
        (
            "image_studies",
            ["digits", "faces"],
            "image_studies is [digits, faces], and the studies with another",
        ),
        ("image_studies", ["digits", "digits"], "image_studies is [digits, digits]"),
        ("studies.faces.dataset", "cifar-10", "dataset than faces are [digits, faces]: it must name them"),
        ("sweep.studies", ["cats"], "sweep.studies names 'cats', which is not among studies"),
    ],
)
def test_what_does_not_go_together_is_named(tmp_path, path, value, says):
    with pytest.raises(InputError) as refused:
        params.load(changed(tmp_path, path, value))
    assert says in refused.value.message


def both(tmp_path, *changes):
    values = yaml.safe_load(PARAMS.read_text())
    for path, value in changes:
        *parents, last = path.split(".")
        block = values
        for key in parents:
            block = block[key]
        block[last] = value
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(InputError) as refused:
        params.load(tmp_path / "params.yaml")
    return refused.value.message


def test_schemes_that_cannot_do_in_a_study_what_they_are_for_are_named(tmp_path):
    schemes_ = ("prune.schemes", ["original", "set", "sparse-momentum"])
    said = both(tmp_path, schemes_, ("dynamic.every", 50))
    assert "in the 60 steps of studies.faces no mask would change between begin and end" in said
    said = both(tmp_path, schemes_, ("studies.digits.training.optimizer", "sgd"))
    assert "sparse-momentum, and studies.digits trains without momentum" in said
    random = [("prune.schemes", ["random"]), ("prune.chain", "random"), ("report.scheme", "random")]
    random += [("export.scheme", "random")]
    said = both(tmp_path, *random, ("stability.studies", ["digits"]))
    assert "stability needs the scheme original among prune.schemes" in said
    said = both(tmp_path, *random, ("prune.criterion", "snip"))
    assert "criterion snip looks at the weights of step 0, where chain 'random' does not begin" in said
