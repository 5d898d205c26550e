"""The stages footprint and export, on a toy that was pruned twice."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from prunet.base import files
from prunet.cells import storage as tickets
from prunet.data import dataset
from prunet.deployment import compact, costs, inference
from prunet.models import built_in as models
from prunet.training.cells import Study
from stages import export, footprint
from tests import toys
from tests.test_selection import params
from tests.toy_pruning import pruned

ROUNDS = ["00", "01", "02"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footprint")
    values = params()
    values["prune"]["rounds"] = values["prune"]["rounds"][: len(ROUNDS)]
    values["report"]["round"] = values["export"]["round"] = "02"
    values["footprint"] = {"batches": [1, 4], "seconds": 0.001, "threads": 1, "bits": [2, 5]}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    dataset.save(folder / "data", **toys.data())
    study = Study.of(values, "toy", toys.data(), folder / "unfinished")
    start, masks = study.initial_weights("init"), study.dense_masks()
    for number in ROUNDS:
        weights, _, result, _ = study.train(number, start, masks, ("init",))
        tickets.save_cell(folder / "models" / "original" / number, weights, masks, result)
        if number == "00":
            tickets.save_cell(folder / "models" / "dense", weights, masks, result)
        masks = pruned(weights, masks, rate=0.8, output_rate_factor=0.5)
    run(folder, footprint, "--scheme", "original", folder / "data", folder / "models", folder / "metrics")
    return folder


def run(folder, stage, *arguments, code=0):
    options = ["--params", folder / "params.yaml", "--study", "toy"]
    done = CliRunner().invoke(stage.main, [str(argument) for argument in (*options, *arguments)])
    assert done.exit_code == code, done.output
    return done


def test_every_round_has_a_row_and_a_ticket_shrinks_with_its_density(folder):
    table = pd.read_csv(folder / "metrics" / "footprint.csv", dtype={"round": str})
    assert table["round"].tolist() == ROUNDS
    assert table["density"].tolist() == pytest.approx([1, 0.2, 0.04], abs=0.01)
    assert table["bytes_ticket"].is_monotonic_decreasing
    assert (table["bytes_dense"] == table["bytes_dense"][0]).all()
    assert (table["bytes_ticket"] < table["bytes_gzip"])[1:].all()
    dense = 36 * 300 + 300 * 100 + 100 * 3
    assert table["macs_dense"].tolist() == [dense] * 3
    assert table["parameters"].tolist() == [
        dense + 403,
        *(int(dense * d) + 403 for d in table["density"][1:]),
    ]
    assert table["macs_effective"].tolist() == [count - 403 for count in table["parameters"]]
    assert (table["macs_shrunk"] <= table["macs_dense"]).all()
    assert table["macs_shrunk"][2] < dense  # of 300 units with a surviving weight in 25 some have none
    assert (table["memory_dense"] == 4 * (dense + 403)).all()
    for batch in (1, 4):
        best = table[[f"ms_best_{batch}", f"best_{batch}"]]
        assert (best[f"ms_best_{batch}"] > 0).all()
        assert set(best[f"best_{batch}"]) <= {"shrunk", "sparse"}


def test_parameters_are_counted_without_the_running_statistics_of_norms():
    model = models.MODELS["resnet-20"]((3, 32, 32), 10)
    weights = {name: tensor.numpy() for name, tensor in models.initial_weights(model, 0, "he").items()}
    masks = {name: np.ones(weights[name].shape, bool) for name in models.prunable(model)}
    masks["conv1.weight"][:, 0, 0, 0] = False
    preparation = {"stored": 32, "side": 32, "shape": [3, 32, 32], "mean": 0.0, "std": 1.0}
    about = {"study": "toy", "model": "resnet-20", "class_names": [*"abcdefghij"], "faces": None}
    about |= {"preparation": preparation, "round": "01", "density": 0.99}
    small = inference.build(weights, about)
    row = costs.standing((weights, masks, about), inference.build(weights, about), small)
    assert (row["parameters"], row["parameters_shrunk"]) == (269_722 - 16, 269_722)


def test_the_dense_network_is_the_one_that_was_trained_once(folder, tmp_path):
    """Round 0 of `trained`, of which this is a copy, was trained twice."""
    shutil.copytree(folder / "models" / "original", tmp_path / "original")
    weights, masks = tickets.load_network(folder / "models" / "dense")
    result = files.read_json(folder / "models" / "dense" / "result.json")
    nothing = {name: np.zeros_like(values) for name, values in weights.items()}
    tickets.save_cell(tmp_path / "dense", nothing, masks, result)
    run(folder, footprint, "--scheme", "original", folder / "data", tmp_path, tmp_path / "metrics")
    chance = np.mean(toys.data()["labels"][toys.data()["split"] == 2] == 0)
    assert pd.read_csv(tmp_path / "metrics" / "quantised.csv")["accuracy_dense"].tolist() == pytest.approx(
        [chance] * 9, abs=1e-6
    )


def test_every_form_is_timed_on_every_batch(folder):
    table = pd.read_csv(folder / "metrics" / "latency.csv", dtype={"round": str})
    cpu = table[table["device"] == "cpu"]
    assert cpu.groupby(["round", "batch"])["form"].apply(sorted).tolist() == [
        ["dense", "masked", "numpy", "shrunk", "sparse"]
    ] * (2 * len(ROUNDS))
    assert (table["ms_low"] <= table["ms_median"]).all()
    assert (table["ms_median"] <= table["ms_high"]).all()


def test_lossless_tickets_have_the_accuracy_of_the_round(folder):
    table = pd.read_csv(folder / "metrics" / "quantised.csv", dtype={"round": str})
    assert sorted(set(table["bits"])) == [2, 5, 32]
    for number, rows in table.groupby("round"):
        result = files.read_json(folder / "models" / "original" / number / "result.json")
        lossless = rows[rows["bits"] == 32].iloc[0]
        assert lossless["accuracy"] == pytest.approx(result["networks"][0]["final"]["test_accuracy"])
        assert rows.sort_values("bits")["bytes"].is_monotonic_increasing
        assert (rows["times_smaller"] > 1)[rows["bits"] < 32].all()


@pytest.mark.parametrize(("number", "replicate"), [("02", 0), ("00", 1)])
def test_an_export_holds_every_form_with_its_accuracy(folder, number, replicate):
    output = folder / "exports" / number
    options = ["--round", number, "--replicate", replicate, "--bits", 5, "--known", 0.95]
    run(folder, export, "--scheme", "original", *options, folder / "data", folder / "models", output)
    about = json.loads((output / "about.json").read_text())
    names = {"ticket.safetensors", "quantised.safetensors", "dense.onnx", "masked.onnx", "shrunk.onnx"}
    assert set(about["forms"]) == names
    assert {path.name for path in output.iterdir()} == names | {"about.json"}
    result = files.read_json(folder / "models" / "original" / number / "result.json")
    measured = result["networks"][replicate]["final"]["test_accuracy"]
    for form in ("ticket.safetensors", "masked.onnx", "shrunk.onnx"):
        assert about["forms"][form]["test_accuracy"] == pytest.approx(measured)
    assert about["forms"]["shrunk.onnx"]["parameters"] <= about["forms"]["dense.onnx"]["parameters"]
    weights, _, said = compact.load(output / "ticket.safetensors")
    stored, _ = tickets.load_network(folder / "models" / "original" / number)
    for name, values in weights.items():
        np.testing.assert_array_equal(values, stored[name][replicate])
    assert {key: about[key] for key in said} == said
    assert (said["scheme"], said["round"], said["replicate"]) == ("original", number, replicate)

    # The threshold lets 95% of the right answers on the validation images pass.
    data = toys.data()
    val = data["split"] == 1
    seen = inference.classify(inference.build(weights, said), data["images"][val], said)
    right = seen.argmax(1) == data["labels"][val]
    assert np.mean(seen.max(1)[right] >= said["threshold"]) >= 0.95


def test_an_export_of_what_is_not_there_is_refused_and_leaves_nothing(folder):
    options = ["--scheme", "original", "--bits", 5, "--known", 0.95, "--replicate"]
    places = [folder / "data", folder / "models", folder / "none"]
    assert (
        "replicates 0 to 1, not 2"
        in run(folder, export, *options, 2, "--round", "01", *places, code=2).stderr
    )
    assert "does not exist" in run(folder, export, *options, 0, "--round", "17", *places, code=2).stderr
    assert not (folder / "none").exists()
