"""The stages train, prune, retrain and stability, by hand in the order in which DVC runs them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from prunet.base import files
from prunet.cells import storage as tickets
from prunet.data import dataset
from prunet.pruning.schemes import SCHEMES
from stages import prune, retrain, stability, train
from tests import toys

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dense toy, the masks of two rounds, and every scheme at both."""
    folder = tmp_path_factory.mktemp("stages")
    study = toys.block(weight_decay=0.0) | {"dataset": "optdigits", "reinits": 3, "rewind": 20}
    params = PARAMS | {"studies": {"toy": study}, "image_studies": ["toy"]}
    params["prune"] = PARAMS["prune"] | {"schemes": list(SCHEMES), "rounds": PARAMS["prune"]["rounds"][:2]}
    params["dynamic"] = PARAMS["dynamic"] | {"every": 5}
    params["report"] = {"scheme": "original", "round": "01"}
    params["export"] = PARAMS["export"] | {"round": "01"}
    params["stability"] = {"studies": ["toy"], "rounds": ["00", "01"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    dataset.save(folder / "data", **toys.data())
    run(folder, train, "data", "init", "early", "dense")
    for number, before in (("00", "original/../dense"), ("01", "original/00")):
        pruned(folder, before, number, number)
        for scheme in SCHEMES:
            retrained(folder, scheme, number, before, number, f"{scheme}/{number}")
    return folder


def pruned(folder, before, number, output, criterion="magnitude"):
    options = {
        "schedule": "iterative",
        "rate": 0.2,
        "output-rate-factor": 0.5,
        "scope": "layer",
        "criterion": criterion,
        "criterion-images": 8,
        "empty-layers": "keep-one",
        "seed": 0,
        "round": number,
    }
    run(folder, prune, "data", "init", before, output, options=options)


def retrained(folder, scheme, number, *paths):
    options = {"scheme": scheme, "round": number}
    run(folder, retrain, "data", "init", "early", *paths, options=options)


def run(folder, stage, *paths, options=()):
    settings = {"params": folder / "params.yaml", "study": "toy"} | dict(options)
    if stage is not prune:
        settings["unfinished"] = folder / "unfinished"
    named = [str(part) for name, value in settings.items() for part in (f"--{name}", value)]
    done = CliRunner().invoke(stage.main, [*named, *(str(folder / path) for path in paths)])
    assert done.exit_code == 0, done.output


def cell(folder, name):
    return *tickets.load_network(folder / name), files.read_json(folder / name / "result.json")


def curve(folder, name):
    return cell(folder, name)[2]["networks"][0]["curve"]


def test_round_0_of_what_starts_from_the_original_values_is_the_dense_training(folder):
    dense = files.read_json(folder / "dense" / "result.json")
    same = {s for s in SCHEMES if files.read_json(folder / s / "00" / "result.json") == dense}
    assert same == set(SCHEMES) - {"rewind", "trained", "lr-rewind", "fine-tune", "random", "shuffled"}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_trains_as_many_survivors_and_zeroes_the_rest(folder, scheme):
    weights, masks, result = cell(folder, f"{scheme}/01")
    assert result["density"] == (8640 + 24_000 + 270) / (10_800 + 30_000 + 300)
    assert len(result["networks"]) == (6 if scheme == "random" else 2)
    for name, mask in masks.items():
        assert not weights[name][~mask].any()
        if scheme not in SPARSE:  # what grew a moment ago may be zero
            assert weights[name][mask].all()


SPARSE = ("static", "set", "rigl", "sparse-momentum")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_are_as_dense_as_the_rounds_or_by_the_erdos_renyi_kernel(folder, scheme):
    """ERK: numbers as 336, 400 and 103, but 10800 and 300 are all, so that 21810 are left for the second."""
    densities = cell(folder, f"{scheme}/01")[2]["layer_density"]
    if scheme in ("static", "set", "rigl"):
        expected = {"fc1.weight": 1.0, "fc2.weight": 0.727, "output.weight": 1.0}
    else:
        expected = {"fc1.weight": 0.8, "fc2.weight": 0.8, "output.weight": 0.9}
    assert (densities == pytest.approx(expected)) == (scheme != "sparse-momentum")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_some_schemes_have_another_mask_than_the_round(folder, scheme):
    masks = tickets.load_masks(folder / "01")
    own = cell(folder, f"{scheme}/01")[1]
    repeats = len(own["fc1.weight"]) // len(masks["fc1.weight"])
    same = np.array_equal(own["fc1.weight"], np.repeat(masks["fc1.weight"], repeats, axis=0))
    assert same == (scheme not in ("shuffled", "random-mask", "gradual", *SPARSE))


def test_rewinding_begins_at_its_step_with_the_weights_of_then(folder):
    early = tickets.load_weights(folder / "early")
    assert set(early) == set(tickets.load_weights(folder / "init"))
    assert curve(folder, "rewind/01")["step"] == curve(folder, "lr-rewind/01")["step"] == [20, 30]
    assert curve(folder, "lr-rewind/00")["val_loss"][0] == curve(folder, "dense")["val_loss"][-1]
    for scheme in ("original", "trained", "fine-tune", "rigl"):
        assert curve(folder, f"{scheme}/01")["step"] == [0, 10, 20, 30]


def test_an_epoch_to_rewind_to_is_a_step(folder):
    """60 images and 8 a step: 2.667 epochs are 20 steps."""
    again = rewinding(folder, "2.667 epochs")
    run(folder, train, "data", "again/init", "again/early", "again/dense", options={"params": again})
    assert (folder / "again" / "early").read_bytes() == (folder / "early").read_bytes()
    options = ["--params", str(rewinding(folder, "4 epochs")), "--study", "toy"]
    result = CliRunner().invoke(train.main, [*options, str(folder / "data"), "init", "early", "dense"])
    assert result.exit_code == 2
    assert "studies.toy.rewind is 4 epochs, step 30 with 7.5 steps an epoch" in result.output


def rewinding(folder, where):
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["studies"]["toy"]["rewind"] = where
    (folder / "rewinding.yaml").write_text(yaml.safe_dump(values))
    return folder / "rewinding.yaml"


def test_a_constant_rate_makes_fine_tuning_the_scheme_trained(folder):
    """The toy's schedule is constant: its last rate is its rate."""
    trained, fine_tuned = (cell(folder, f"{scheme}/01") for scheme in ("trained", "fine-tune"))
    assert all(np.array_equal(trained[0][name], fine_tuned[0][name]) for name in trained[0])


def test_whole_units_stay_whole_with_their_biases_and_the_mark_goes_on(folder):
    pruned(folder, "dense", "01", "units", "unit-l2")
    for scheme, whole in (("rewind", True), ("rigl", False), ("random-mask", False)):
        retrained(folder, scheme, "01", "dense", "units", f"units-{scheme}")
        assert tickets.whole_units(folder / f"units-{scheme}" / "masks.safetensors") == whole
    weights, masks, result = cell(folder, "units-rewind")
    alive = masks["fc1.weight"].any(-1)
    assert (~alive).sum() == 2 * 60
    assert not weights["fc1.bias"][~alive].any()
    assert weights["fc1.bias"][alive].all()
    assert set(result["layer_density"]) == set(masks)


def test_the_help_of_retrain_has_a_line_for_every_scheme():
    shown = CliRunner().invoke(retrain.main, ["--help"]).output.splitlines()
    lines = {line.split()[0]: line for line in shown[shown.index("") :] if line.split()}
    for scheme in SCHEMES:
        assert lines[scheme].startswith(f"    {scheme}  ")
        assert lines[scheme].endswith(".")
        assert len(lines[scheme]) <= 90


def test_group_lasso_is_of_the_dense_training_alone(folder):
    """Strong enough that all rows of the dense network's hidden layers end at zero."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["studies"]["toy"]["training"]["group_lasso"] = 1.0
    (folder / "lasso.yaml").write_text(yaml.safe_dump(values))
    options = {"params": folder / "lasso.yaml"}
    run(folder, train, "data", "lasso/init", "lasso/early", "lasso/dense", options=options)
    weights = cell(folder, "lasso/dense")[0]
    assert not weights["fc1.weight"].any()
    assert not weights["fc2.weight"].any()
    assert weights["output.weight"].any()
    assert (folder / "lasso" / "init").read_bytes() == (folder / "init").read_bytes()
    options |= {"scheme": "random", "round": "01"}
    run(folder, retrain, "data", "init", "early", "dense", "01", "lasso/random", options=options)
    plain, again = (cell(folder, name)[0] for name in ("random/01", "lasso/random"))
    assert all(np.array_equal(plain[name], again[name]) for name in plain)


def test_no_checkpoint_is_left(folder):
    assert not list((folder / "unfinished").rglob("*.safetensors"))


def test_stability_walks_between_two_orders_of_every_round(folder):
    run(folder, stability, "data", "init", "original", "stability.csv", "plots")
    table = pd.read_csv(folder / "stability.csv", dtype={"round": str})
    assert table["round"].tolist() == ["00", "01"]
    assert (table["loss_mean"] >= 0).all()
    paths = pd.read_csv(folder / "plots" / "paths.csv")
    assert len(paths) == 2 * 2 * 11
    end = paths[(paths["network"] == 0) & (paths["round"] == 0)].iloc[0]
    last = curve(folder, "original/00")["val_loss"][-1]
    assert end["loss"] == pytest.approx(last, rel=1e-4)  # the first end is the ticket as trained
    assert (folder / "plots" / "barriers.png").read_bytes().startswith(b"\x89PNG")
