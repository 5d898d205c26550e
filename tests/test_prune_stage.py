"""The stage prune, with every criterion on small studies as it stands in dvc.yaml."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from prunet.base.seeds import derive
from prunet.cells import storage as tickets
from prunet.data import dataset
from prunet.pruning.criteria import CRITERIA
from prunet.cells.masks import density
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.training.cells import Study
from stages import prune
from tests import toys
from tests.toy_pruning import pruned

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())
STUDIES = {"lenet": ("lenet-300-100", None), "light": ("light-cnn-9", 16), "residual": ("resnet-20", 8)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of three studies weights before training, and others in the place of trained ones."""
    folder = tmp_path_factory.mktemp("prune")
    block = toys.block() | {"dataset": "optdigits"}
    values = PARAMS | {
        "studies": {
            name: block | {"model": model, "input_size": side} for name, (model, side) in STUDIES.items()
        }
    }
    values["stability"] = {"studies": [], "rounds": ["00"]}
    values["sweep"] = PARAMS["sweep"] | {"studies": []}
    values["image_studies"] = list(STUDIES)
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    dataset.save(folder / "data", **toys.data(8))
    for name in STUDIES:
        study = Study.of(values, name, toys.data(8), folder)
        tickets.save_weights(folder / f"{name}.init", study.initial_weights("init"))
        weights = study.initial_weights("other")
        rng = np.random.default_rng(0)
        for layer, drawn in weights.items():
            if layer.endswith("weight") and drawn.ndim == 2:  # a norm's are all ones before training
                weights[layer] = rng.normal(size=drawn.shape).astype(np.float32)
        tickets.save_cell(folder / name, weights, study.dense_masks(), {})
    return folder


def run(folder, name="lenet", data="data", init=None, code=0, **options):
    given = {
        "schedule": "iterative",
        "rate": 0.25,
        "output_rate_factor": 1.0,
        "scope": "layer",
        "criterion": "magnitude",
        "criterion_images": 20,
        "empty_layers": "keep-one",
        "seed": 0,
        "round": "01",
    } | options
    arguments = ["--params", folder / "params.yaml", "--study", name]
    for option, value in given.items():
        for one in value if isinstance(value, list) else [value]:
            arguments += [f"--{option}", one]
    arguments += [folder / data, folder / (init or f"{name}.init"), folder / name, folder / "masks"]
    done = CliRunner().invoke(prune.main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    if code:
        assert done.stderr.count("\n") == 1 or done.stderr.startswith("Usage")
        return done.stderr
    return tickets.load_masks(folder / "masks")


def shares(masks):
    return {name: density({name: mask}) for name, mask in masks.items()}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_of_weights_removes_exactly_its_share(folder, criterion):
    masks = run(folder, criterion=criterion)
    assert shares(masks) == dict.fromkeys(masks, 0.75)
    assert not tickets.whole_units(folder / "masks")
    again = run(folder, criterion=criterion)
    assert all((again[name] == mask).all() for name, mask in masks.items())


def test_criteria_differ(folder):
    masks = {criterion: run(folder, criterion=criterion)["fc2.weight"].tobytes() for criterion in CRITERIA}
    assert len(set(masks.values())) == len(CRITERIA)


def test_the_options_are_those_of_the_library(folder):
    weights, masks = tickets.load_network(folder / "lenet")
    given = {"criterion": "random", "scope": "layer", "output_rate_factor": 0.5}
    own = {"leave_out": ["fc1.weight"], "own_rate": ["fc2.weight=0.5"]}
    expected = pruned(
        weights,
        masks,
        **given,
        **own,
        rate=0.25,
        schedule="one-shot",
        number=2,
        seed=derive(3, "prune", "02"),
    )
    found = run(folder, **given, **own, schedule="one-shot", round="02", seed=3)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask)
    output = 1 - 0.875**2  # of 300 weights
    assert shares(found) == pytest.approx(
        {"fc1.weight": 1, "fc2.weight": 0.25, "output.weight": 1 - round(300 * output) / 300}
    )


@pytest.mark.parametrize("criterion", ["unit-l2", "unit-random", "geometric-median"])
def test_units_of_fully_connected_layers(folder, criterion):
    masks = run(folder, criterion=criterion)
    assert rows_left(masks) == {"fc1.weight": 0.75, "fc2.weight": 0.75, "output.weight": 1}
    # What reads a removed unit goes as well.
    assert shares(masks) == {"fc1.weight": 0.75, "fc2.weight": 0.75**2, "output.weight": 0.75}
    for before, name in (("fc1.weight", "fc2.weight"), ("fc2.weight", "output.weight")):
        assert (masks[name].any(1) == masks[before].any(2)).all()
        assert (masks[name] == masks[name].any(1)[:, None] & masks[name].any(2)[:, :, None]).all()
    assert tickets.whole_units(folder / "masks")


def rows_left(masks):
    return {name: mask.reshape(*mask.shape[:2], -1).any(2).mean() for name, mask in masks.items()}


@pytest.mark.parametrize("criterion", ["filter-l1", "filter-l2"])
def test_pairs_of_filters_go_together(folder, criterion):
    masks = run(folder, "light", criterion=criterion)
    for name, mask in masks.items():
        rows = mask.reshape(*mask.shape[:2], -1).any(2)
        if mask.ndim == 5:
            half = rows.shape[1] // 2
            assert (rows[:, :half] == rows[:, half:]).all()
            assert rows.mean() == 0.75
        else:
            assert rows.all(), name
    assert "filter-l1 finds no units in fc1.weight, fc2.weight" in run(folder, criterion="filter-l1", code=2)


def test_channels_of_a_residual_network_go_by_the_scales_of_its_norms(folder):
    masks = run(folder, "residual", criterion="batchnorm-scale")
    weights, _ = tickets.load_network(folder / "residual")
    inside = masks["block1_1.conv1.weight"].reshape(2, 16, -1)
    lowest = np.argsort(np.abs(weights["block1_1.norm1.weight"]))[:, :4]
    assert (np.sort(lowest) == [np.flatnonzero(~rows) for rows in inside.any(2)]).all()
    found = rows_left(masks)
    assert found["block3_3.conv2.weight"] == found["block2_1.conv1.weight"] == 0.75
    sum_ = [masks[f"block1_{number}.conv2.weight"].any((2, 3, 4)) for number in (1, 2, 3)]
    assert (sum_[0] == sum_[1]).all()
    assert (sum_[0] == masks["conv1.weight"].any((2, 3, 4))).all()
    assert found[list(masks)[-1]] == 1
    assert "features.conv1.conv.weight" in run(folder, "light", criterion="batchnorm-scale", code=2)


def test_round_0_removes_nothing(folder):
    assert density(run(folder, round="00", criterion="snip", data="gone", init="gone")) == 1


def test_files_that_a_criterion_does_not_need_are_not_read(folder):
    for criterion in ("magnitude", "random"):
        run(folder, criterion=criterion, data="gone", init="gone")
    run(folder, criterion="movement", data="gone")
    assert "gone does not exist" in run(folder, criterion="movement", init="gone", code=2)
    assert "gone does not exist" in run(folder, criterion="taylor", data="gone", code=2)
    assert "gone does not exist" in run(folder, criterion="unit-l2", data="gone", code=2)


def test_initial_weights_of_another_study_are_refused(folder):
    assert "are not of the same networks" in run(folder, criterion="snip", init="light.init", code=2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"leave_out": ["fc9.weight"]}, "the layers are fc1.weight, fc2.weight, output.weight"),
        ({"own_rate": ["fc1.weight"]}, "write NAME=RATE"),
        (
            {"empty_layers": "refuse", "own_rate": ["output.weight=1"]},
            "would take all weights of output.weight",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(folder, options, says):
    assert says in run(folder, code=2, **options)


def test_every_criterion_has_its_line_in_the_help():
    lines = CliRunner().invoke(prune.main, ["--help"]).output.splitlines()
    for name in CRITERIA | UNIT_CRITERIA:
        (line,) = [line for line in lines if line.strip().startswith(f"{name} ")]
        assert line.endswith(".")


def test_small_criteria_start_without_pytorch(folder):
    """And without what else they do not need: a stage that runs often pays for it every time."""
    heavy = "{'torch', 'scipy', 'pydantic'}"
    run_it = "from stages import prune; prune.main(sys.argv[1:], standalone_mode=False)"
    code = f"import sys; {run_it}; print(sorted({heavy} & set(sys.modules)))"
    options = "--schedule iterative --rate 0.2 --output-rate-factor 1 --scope layer --criterion movement"
    options += " --criterion-images 8 --empty-layers keep-one --seed 0 --round 01 --study lenet"
    places = [folder / name for name in ("data", "lenet.init", "lenet", "masks")]
    done = subprocess.run(
        [sys.executable, "-c", code, *options.split(), *map(str, places)], capture_output=True, text=True
    )
    assert done.stdout == "[]\n", done.stderr
