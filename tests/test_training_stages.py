"""The stages train, prune, retrain and stability, by hand in the order in which DVC runs them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from prunet.base import dataset, files
from prunet.pruning import tickets
from prunet.pruning.schemes import SCHEMES
from stages import prune, retrain, stability, train
from tests import toys

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A dense toy, the masks of two rounds, and every scheme at both."""
    folder = tmp_path_factory.mktemp("stages")
    study = toys.block(weight_decay=0.0) | {"dataset": "optdigits", "reinits": 3}
    params = PARAMS | {"studies": {"toy": study}}
    params["prune"] = PARAMS["prune"] | {"schemes": list(SCHEMES), "rounds": PARAMS["prune"]["rounds"][:2]}
    params["report"] = {"scheme": "original", "round": "01"}
    params["export"] = PARAMS["export"] | {"round": "01"}
    params["stability"] = {"studies": ["toy"], "rounds": ["00", "01"]}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))
    dataset.save(folder / "data", **toys.data())
    run(folder, train, "data", "init", "dense")
    for number, before in (("00", "original/../dense"), ("01", "original/00")):
        rates = ("--rate", 0.2, "--output-rate-factor", 0.5, "--scope", "layer", "--criterion", "magnitude")
        run(folder, prune, before, number, options=("--seed", 0, "--round", number, *rates))
        for scheme in SCHEMES:
            options = ("--scheme", scheme, "--round", number)
            run(folder, retrain, "data", "init", before, number, f"{scheme}/{number}", options=options)
    return folder


def run(folder, stage, *paths, options=()):
    settings = ("--params", folder / "params.yaml", "--study", "toy", "--unfinished", folder / "unfinished")
    arguments = [*(() if stage is prune else settings), *options, *(folder / path for path in paths)]
    done = CliRunner().invoke(stage.main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def cell(folder, name):
    return *tickets.load_network(folder / name), files.read_json(folder / name / "result.json")


def test_round_0_of_what_starts_from_the_original_values_is_the_dense_training(folder):
    dense = files.read_json(folder / "dense" / "result.json")
    for scheme in ("original", "random-mask"):
        assert files.read_json(folder / scheme / "00" / "result.json") == dense


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_trains_as_many_survivors_and_zeroes_the_rest(folder, scheme):
    weights, masks, result = cell(folder, f"{scheme}/01")
    assert result["layer_density"] == pytest.approx(
        {"fc1.weight": 0.8, "fc2.weight": 0.8, "output.weight": 0.9}
    )
    assert len(result["networks"]) == (6 if scheme == "random" else 2)
    for name, mask in masks.items():
        assert not weights[name][~mask].any()
        assert weights[name][mask].all()


@pytest.mark.parametrize(
    ("scheme", "same"),
    [("original", True), ("trained", True), ("random", True), ("shuffled", False), ("random-mask", False)],
)
def test_controls_alone_have_another_mask_than_the_round(folder, scheme, same):
    masks = tickets.load_masks(folder / "01")
    own = cell(folder, f"{scheme}/01")[1]
    repeats = len(own["fc1.weight"]) // len(masks["fc1.weight"])
    assert np.array_equal(own["fc1.weight"], np.repeat(masks["fc1.weight"], repeats, axis=0)) == same


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
    curve = files.read_json(folder / "original" / "00" / "result.json")["networks"][0]["curve"]
    assert end["loss"] == pytest.approx(
        curve["val_loss"][-1], rel=1e-4
    )  # the first end is the ticket as trained
    assert (folder / "plots" / "barriers.png").read_bytes().startswith(b"\x89PNG")
