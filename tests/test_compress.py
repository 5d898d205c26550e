"""Combinations of compression steps, from the dense networks to files, a table and figures."""

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from prunet.analysis import pareto, pareto_front
from prunet.base import tables
from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.compression import combinations, int8, order, steps
from prunet.config.compression import Combination, Rank
from prunet.data.images import dataset
from prunet.deployment import compact, inference, onnx_file
from prunet.deployment.metadata import Storage
from prunet.training import batches, loop
from stages import compress, plot_compress
from tests import toys
from tests.toy_cells import cell, maker
from tests.toy_tools import invoke

COMBINATIONS = [
    ["prune", "low-rank", "distill", "int8"],
    ["shared-values"],
    ["binary"],
    ["prune", "int8-train"],
]


class Toy:
    """A toy study with dense and pruned networks, ready for the stage compress."""

    def __init__(self, folder):
        self.folder, self.trainer = folder, maker(folder)(steps=60, weight_decay=0.0)
        start, rng = self.trainer.initial_weights("init"), np.random.default_rng(0)
        masks = {name: rng.random(mask.shape) < 0.5 for name, mask in self.trainer.dense_masks().items()}
        (self.dense,) = self.trainer.train([cell(self.trainer, "dense", start)])
        self.trainer.train([cell(self.trainer, "original/01", start, masks)])
        self.cells = self.trainer.folder / "original"
        dataset.save(folder / "data", **toys.data())
        changes = {"combinations": COMBINATIONS, "rank": {"rule": "number", "amount": 5}, "seconds": 0.0}
        changes["search"] = toys.params_values()["compress"]["search"] | {"amount": [5]}
        values = toys.params_values(training={"steps": 60, "weight_decay": 0.0}, compress=changes)
        toys.write_stage_params(folder, values)

    def run(self, name="run"):
        given = self.folder / "toy" / "compress.json", self.folder / "data", self.dense, self.cells
        output = self.folder / name
        own = "--checkpoints", self.folder / "own"
        done = invoke(compress, *own, *given, output / "pareto.csv", output / "files")
        assert done.exit_code == 0, (done.output, done.exception)
        self.said = done.output
        return output


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return Toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture(scope="module")
def done(toy):
    return toy.run()


def test_every_combination_and_every_beginning_of_one_has_a_row_and_a_file(done):
    table = pd.read_csv(done / "pareto.csv")
    names = ["dense", "prune", "shared-values", "binary", "prune+low-rank", "prune+int8-train"]
    names += ["prune+low-rank+distill", "prune+low-rank+distill+int8"]
    assert table["combination"].tolist() == names
    small = [name + (".onnx.gz" if "int8" in name else ".safetensors") for name in names]
    files = {path.name for path in (done / "files").iterdir()}
    assert files == {f"{name}.onnx" for name in names} | set(small)
    assert [(done / "files" / name).stat().st_size for name in small] == table["bytes"].tolist()
    assert (table["replicates"] == 2).all()


def test_costs_are_those_of_the_files(done, toy):
    table = pd.read_csv(done / "pareto.csv").set_index("combination")
    assert (
        table["bytes_onnx"] == [(done / "files" / f"{name}.onnx").stat().st_size for name in table.index]
    ).all()
    lenet = 36 * 300 + 300 * 100 + 100 * 3
    assert table.loc["dense", "macs"] == table.loc["binary", "macs"] == lenet
    assert table.loc["prune+low-rank", "macs"] < table.loc["prune", "macs"] <= lenet
    assert (
        table.loc["binary", "bytes"] < table.loc["shared-values", "bytes"] < table.loc["dense", "bytes"] / 4
    )
    assert table.loc["binary", "bytes_onnx"] < table.loc["dense", "bytes_onnx"] / 5
    assert table.loc["prune+low-rank+distill+int8", "bytes"] < table.loc["prune+low-rank+distill", "bytes"]


def test_the_accuracy_of_dense_is_that_of_pytorch(done, toy):
    weights = storage.load_network(toy.dense)[0]
    networks = [
        {name: torch.as_tensor(values[number]) for name, values in weights.items()} for number in range(2)
    ]
    found = [toy.trainer.evaluate(network, "test")[1] for network in networks]
    table = pd.read_csv(done / "pareto.csv").set_index("combination")
    assert table.loc["dense", "accuracy_mean"] == pytest.approx(np.mean(found), abs=1e-6)
    assert table.loc["dense", "accuracy_mean"] > 0.6


def test_what_was_trained_is_reused(done, toy, monkeypatch):
    taken = []
    monkeypatch.setattr(loop, "train", None)
    monkeypatch.setattr(
        combinations,
        "measure",
        lambda found, *_: taken.append(found) or rows(dense=(1, [0.9]), low=(1, [0.8])),
    )
    monkeypatch.setattr(int8, "slow_processor", lambda: "int8 is hardly faster here.")
    toy.run("again")
    assert toy.said.count("study toy: int8 is hardly faster here.") == 1
    assert ("prune", "low-rank", "distill", "int8") in taken[0]


def test_figures_are_drawn_from_the_table(done, toy):
    invoke(plot_compress, toy.folder / "toy" / "plot_compress.json", done / "pareto.csv", done / "plots")
    assert {path.name for path in (done / "plots").iterdir()} == {"bytes.png", "macs.png", "ms_median.png"}


def test_the_names_of_the_steps_are_those_that_params_may_have():
    assert tuple(steps.STEPS) == order.NAMES


@pytest.mark.parametrize(
    ("taken", "reason"),
    [
        (["low-rank", "prune"], "prune takes the study's pruned networks, so it is the first step or none"),
        (["low-rank", "train", "low-rank"], "low-rank divides a layer once"),
        (["int8", "train"], "int8 leaves weights of few bits, so it is the last step or none"),
        (["prun"], "'prun' is not a step: choose among prune, low-rank, train"),
        ([], "at least 1 item"),
    ],
)
def test_steps_that_cannot_be_are_one_sentence(taken, reason):
    with pytest.raises(ValidationError, match=reason):
        TypeAdapter(Combination).validate_python(taken)


@pytest.mark.parametrize(
    ("rule", "amount", "reason"),
    [
        ("number", 2.5, "a rank is a whole number, not 2.5"),
        ("energy", 3, "energy is a share: give at most 1"),
    ],
)
def test_amounts_that_cannot_be_are_one_sentence(rule, amount, reason):
    with pytest.raises(ValidationError, match=reason):
        Rank(rule=rule, amount=amount)


def test_beginnings_come_before_what_continues_them_and_once():
    assert combinations.every([["a", "b"], ["a", "c"], ["b"]]) == [(), ("a",), ("b",), ("a", "b"), ("a", "c")]


def test_the_smallest_file_is_the_network_of_the_onnx_file(done, toy):
    data, names = toys.data(), ["shared-values", "binary", "prune+low-rank+distill"]
    for name in names:
        weights, masks, metadata = compact.load(done / "files" / f"{name}.safetensors")
        images = batches.prepare(torch.from_numpy(data["images"][:20]), metadata["preparation"])
        with torch.no_grad():
            found = inference.build(weights, metadata)(images)
        run = onnx_file.runner(done / "files" / f"{name}.onnx")
        np.testing.assert_allclose(run(images), found, rtol=1e-4, atol=1e-4)
        assert all(not values[~masks[layer]].any() for layer, values in weights.items() if layer in masks)
    assert set(metadata["ranks"].values()) == {5}


def test_layers_may_stay_whole(toy):
    weights, masks = storage.load_network(toy.dense)
    networks = steps.Networks(toy.trainer.model, weights, masks, False)
    tools = steps.Tools({"leave_whole": ["fc1"]}, None, None, None, None, None)
    found = steps.signs(networks, tools)
    np.testing.assert_array_equal(found.weights["fc1.weight"], weights["fc1.weight"])
    assert all(len(np.unique(row)) == 2 for row in found.weights["fc2.weight"][1])
    assert found.storage == Storage(1, grid=True, whole=("fc1.weight",))
    bad = networks._replace(weights=weights | {"output.weight": weights["output.weight"] * np.nan})
    with pytest.raises(InputError, match=r"^output\.weight has weights that are not finite"):
        steps.signs(bad, tools)


def rows(**values):
    """Return measured rows of combinations: each has bytes, and the accuracy of its replicates."""
    costs = {"bytes_onnx": 1000, "macs": 10, "ms_median": 1.0, "ms_low": 1.0, "ms_high": 1.0}
    return [
        {"combination": name, "replicate": number, "val_accuracy": value, "accuracy": value, "bytes": size}
        | costs
        for name, (size, found) in values.items()
        for number, value in enumerate(found)
    ]


def test_a_combination_is_not_worse_if_its_loss_is_shown_to_be_below_the_margin():
    found = pareto.table(
        rows(dense=(900, [0.9, 0.91, 0.92]), same=(100, [0.9, 0.91, 0.92]), wide=(50, [0.8, 0.91, 0.99])), 0.2
    ).set_index("combination")
    assert found["not_worse"].tolist() == ["", "not worse", "not shown"]
    assert found.loc["same", "times_smaller"] == 10
    assert found.loc["wide", "difference"] == pytest.approx(-0.01)
    two = pareto.table(rows(dense=(9, [0.9, 0.91]), same=(1, [0.9, 0.91])), 0.2)
    assert two["not_worse"].tolist() == ["", "too few replicates"]


def test_the_front_holds_what_no_cheaper_combination_reaches():
    found = pareto.table(
        rows(dense=(900, [0.9] * 3), good=(100, [0.9] * 3), poor=(200, [0.8] * 3), tiny=(10, [0.5] * 3)), 0.2
    )
    assert pareto_front.front(found, "bytes") == ["tiny", "good"]
    by = found.set_index("combination")["best_by"].str.split()
    assert ["bytes" in costs for costs in by] == [False, True, False, True]


def test_a_table_of_words_can_be_read_again(done):
    assert tables.read(done / "pareto.csv", ("combination", "bytes"))["combination"][0] == "dense"
