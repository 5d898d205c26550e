"""The stages train, prune, retrain and stability, in the order in which DVC runs them."""

import shutil

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from prunet.base import files
from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.config.pruning import KEEP_MASK
from prunet.data.images import dataset
from prunet.retraining import scheme
from prunet.training import loop
from stages import prune, retrain, stability, train
from tests import toys

SCHEMES = {name: scheme.load(name) for name in scheme.names()}
SPARSE = ("static", "set", "rigl", "sparse-momentum")
SETTINGS = {
    "schemes": ["original", *(name for name in SCHEMES if name != "original")],
    "study": {"reinits": 3, "rewind": 4},
    "training": {"weight_decay": 0.0, "steps": 6, "eval_every": 2},
    "prune": {"output_rate_factor": 0.5, "criterion_images": 8},
    "dynamic": {"every": 1, "end": 1.0},
    "stability": {"from": [0, 2, 4, 0], "rounds": ["00", "01"]},
}


class Pipeline:
    """The stages of a toy study in a folder, with the parameters that `check` would give them."""

    def __init__(self, folder, **changes):
        self.folder, self.models = folder, folder / "models"
        self.values = toys.params_values(**SETTINGS | changes)
        toys.write_stage_params(folder / "params", self.values)
        if not (folder / "data").exists():
            dataset.save(folder / "data", **toys.data())

    def run(self, stage, name, *arguments, checkpoints="checkpoints"):
        paths = [self.folder / "params" / "toy" / f"{name}.json", *arguments]
        options = ["--checkpoints", str(self.folder / checkpoints)]
        done = CliRunner().invoke(stage.main, [*options, *map(str, paths)], catch_exceptions=False)
        assert done.exit_code == 0, done.output

    def train(self):
        outputs = [self.models / name for name in ("init.safetensors", "rewind.safetensors", "dense")]
        self.run(train, "train", self.folder / "data", *outputs)

    def prune(self, number):
        before = {entry["n"]: entry["from"] for entry in self.values["prune"]["rounds"]}[number]
        self.run(prune, "prune", number, self.folder / "data", self.models, self.models / before)

    def retrain(self, name, **options):
        output = self.models / "cells" / name
        self.run(retrain, f"retrain-{name}", self.folder / "data", self.models, output, **options)

    def all(self):
        self.train()
        for number in ("00", "01"):
            self.prune(number)
        for name in self.values["prune"]["schemes"]:
            self.retrain(name, checkpoints="others")

    def cell(self, name):
        folder = self.models / name
        return *storage.load_network(folder), files.read_json(folder / "result.json")

    def curve(self, name):
        return self.cell(name)[2]["networks"][0]["curve"]

    def files(self, name):
        names = ("weights.safetensors", "masks.safetensors", "result.json")
        return [(self.models / name / file).read_bytes() for file in names]

    def outputs(self):
        return {path: path.read_bytes() for path in self.models.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Return a pipeline of which every stage has run, for all schemes at two rounds."""
    pipeline = Pipeline(tmp_path_factory.mktemp("done"))
    pipeline.all()
    return pipeline


@pytest.fixture
def dense(done, tmp_path):
    """Return a function that makes another pipeline after the same dense training."""
    shutil.copytree(done.models / "dense", tmp_path / "models" / "dense")
    for name in ("init.safetensors", "rewind.safetensors"):
        shutil.copy(done.models / name, tmp_path / "models")
    return lambda **changes: Pipeline(tmp_path, **changes)


def refuse_to_train(*arguments):
    raise InputError("trained again")


def test_outputs_are_those_of_dvc_yaml_and_no_checkpoint_is_left(done):
    entries = {path.relative_to(done.models).as_posix() for path in done.models.rglob("*") if path.is_file()}
    cell = ("masks.safetensors", "result.json", "weights.safetensors")
    folders = ["dense", *(f"chain/{n}" for n in ("00", "01"))]
    folders += [f"cells/{name}/{n}" for name in SCHEMES for n in ("00", "01")]
    assert entries == {f"{folder}/{name}" for folder in folders for name in cell} | {
        *("init.safetensors", "rewind.safetensors", "masks/00.safetensors", "masks/01.safetensors"),
    }
    for checkpoints in ("checkpoints", "others"):
        assert not list((done.folder / checkpoints / "toy" / "unfinished").iterdir())


def test_nothing_is_trained_again_when_all_stages_run_again(done, monkeypatch):
    before = done.outputs()
    monkeypatch.setattr(loop, "train", refuse_to_train)
    done.all()
    assert done.outputs() == before


def test_round_0_of_schemes_that_change_nothing_is_the_dense_training(done):
    dense = done.files("dense")
    assert done.files("chain/00") == dense
    same = {name for name in SCHEMES if done.files(f"cells/{name}/00") == dense}
    assert same == {name for name, found in SCHEMES.items() if found.dense_at_round_0}


@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_trains_as_many_survivors_and_zeroes_the_rest(done, name):
    weights, masks, result = done.cell(f"cells/{name}/01")
    assert result["density"] == (8640 + 24_000 + 270) / (10_800 + 30_000 + 300)
    assert len(result["networks"]) == (6 if name == "random" else 2)
    for layer, mask in masks.items():
        assert not weights[layer][~mask].any()
        if name not in SPARSE:  # a weight that grew a moment ago may be zero
            assert weights[layer][mask].all()
    if name in ("static", "set", "rigl"):  # as 336, 400 and 103, but fc1 and output have no more weights
        expected = {"fc1.weight": 1.0, "fc2.weight": 0.727, "output.weight": 1.0}
    else:
        expected = {"fc1.weight": 0.8, "fc2.weight": 0.8, "output.weight": 0.9}
    assert (result["layer_density"] == pytest.approx(expected)) == (name != "sparse-momentum")


def test_rewinding_starts_at_its_step_with_the_weights_of_that_step(done):
    early = storage.load_weights(done.models / "rewind.safetensors")
    assert list(early) == list(storage.load_weights(done.models / "init.safetensors"))
    for name in ("rewind", "lr-rewind"):
        assert done.curve(f"cells/{name}/01")["step"] == [4, 6]
    assert done.curve("cells/lr-rewind/00")["val_loss"][0] == done.curve("dense")["val_loss"][-1]
    assert done.curve("cells/rewind/00")["val_loss"][0] == done.curve("dense")["val_loss"][2]
    for name in ("original", "trained", "fine-tune", "rigl"):
        assert done.curve(f"cells/{name}/01")["step"] == [0, 2, 4, 6]


@pytest.mark.parametrize("chain", KEEP_MASK)
def test_the_chains_networks_are_those_of_its_scheme(dense, monkeypatch, chain):
    pipeline = dense(schemes=[chain], study={"rewind": 4}, prune={"chain": chain})
    for number in ("00", "01"):
        pipeline.prune(number)
    monkeypatch.setattr(loop, "train", refuse_to_train)
    pipeline.retrain(chain, checkpoints="others")
    for number in ("00", "01"):
        assert pipeline.files(f"chain/{number}") == pipeline.files(f"cells/{chain}/{number}")


def test_whole_units_stay_whole_with_their_biases(dense):
    names = ["original", "rewind", "rigl", "random-mask"]
    pipeline = dense(schemes=names, prune={"criterion": "unit-l2"})
    for number in ("00", "01"):
        pipeline.prune(number)
    for name in names:
        pipeline.retrain(name)
        found = storage.whole_units(pipeline.models / "cells" / name / "01" / "masks.safetensors")
        assert found == (name != "rigl")
    alive = {}
    for name in ("rewind", "random-mask"):
        weights, masks, result = pipeline.cell(f"cells/{name}/01")
        alive[name] = masks["fc1.weight"].any(-1)
        assert (~alive[name]).sum(1).tolist() == [60, 60]
        assert masks["fc1.weight"][alive[name]].all()
        assert not weights["fc1.bias"][~alive[name]].any()
        assert weights["fc1.bias"][alive[name]].all()
        assert set(result["layer_density"]) == set(masks)
        assert result["density"] == pipeline.cell("cells/original/01")[2]["density"]
    assert (alive["rewind"] != alive["random-mask"]).any()


def test_extended_training_takes_more_steps_than_the_dense_one(dense):
    pipeline = dense(schemes=["original", "rigl"], dynamic={"every": 2, "multiplier": 2})
    for number in ("00", "01"):
        pipeline.prune(number)
    pipeline.retrain("rigl")
    assert pipeline.curve("cells/rigl/01")["step"] == [0, 2, 4, 6, 8, 10, 12]
    assert pipeline.curve("cells/rigl/00") == pipeline.curve("dense")
    result = pipeline.cell("cells/rigl/01")[2]
    assert all(result["density"] < network["explored"] < 1 for network in result["networks"])


def test_group_lasso_acts_on_the_dense_training_alone(done, tmp_path):
    """It is strong enough here to remove all rows of the dense network's hidden layers."""
    settings = SETTINGS["training"] | {"group_lasso": 10.0}
    pipeline = Pipeline(tmp_path, schemes=["original", "random"], training=settings)
    pipeline.train()
    weights = pipeline.cell("dense")[0]
    assert not weights["fc1.weight"].any()
    assert not weights["fc2.weight"].any()
    assert weights["output.weight"].any()
    init = "init.safetensors"
    assert (pipeline.models / init).read_bytes() == (done.models / init).read_bytes()
    shutil.copytree(done.models / "masks", pipeline.models / "masks")
    shutil.copytree(done.models / "chain", pipeline.models / "chain")
    pipeline.retrain("random")
    plain, again = (found.cell("cells/random/01")[0] for found in (done, pipeline))
    assert all(np.array_equal(plain[layer], again[layer]) for layer in plain)


def test_stability_interpolates_between_two_data_orders_of_every_step_and_round(done):
    """The study rewinds to step 4: from there, and from step 0, the first end is that scheme as trained."""
    inputs = [done.models / name for name in ("init.safetensors", "rewind.safetensors", "cells/original")]
    outputs = [done.folder / name for name in ("barriers.csv", "paths.csv")]
    done.run(stability, "stability", done.folder / "data", *inputs, *outputs)
    table = pd.read_csv(outputs[0], dtype={"round": str})
    assert table["start"].tolist() == [0, 0, 2, 2, 4, 4]
    assert table["round"].tolist() == ["00", "01"] * 3
    assert table["density"].tolist() == pytest.approx([1, 32_910 / 41_100] * 3)
    assert (table["loss_mean"] >= 0).all()
    paths = pd.read_csv(outputs[1], dtype={"round": str})
    assert len(paths) == 3 * 2 * 2 * 11
    ends = paths[(paths["network"] == 0) & (paths["position"] == 0)].set_index(["start", "round"])["loss"]
    for step, name in ((0, "original"), (4, "rewind")):
        for number in ("00", "01"):
            last = done.curve(f"cells/{name}/{number}")["val_loss"][-1]
            assert ends[step, number] == pytest.approx(last, rel=1e-4)
    trained = done.folder / "checkpoints" / "toy" / "stability"
    assert {path.name for path in trained.iterdir()} == {"0", "2", "4", "dense-to-2"}
    again = storage.load_network(trained / "4" / "same-order" / "01")[0]
    weights = done.cell("cells/rewind/01")[0]
    assert all(np.array_equal(again[name], weights[name]) for name in weights)
    result = files.read_json(trained / "2" / "another-order" / "01" / "result.json")
    assert result["networks"][0]["curve"]["step"] == [2, 4, 6]


def test_the_help_of_retrain_has_a_line_for_every_scheme():
    shown = CliRunner().invoke(retrain.main, ["--help"]).output.splitlines()
    lines = {line.split()[0]: line for line in shown[shown.index("") :] if line.split()}
    for name in SCHEMES:
        assert lines[name].startswith(f"  {name}  ")
        assert lines[name].endswith(".")
        assert len(lines[name]) <= 100
