"""The stages footprint and export on a toy network at four densities."""

import json
import os
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from prunet.cells import storage
from prunet.data.images import dataset
from prunet.deployment import compact, costs, forms, inference, onnx_file
from prunet.models import built_in as models
from prunet.pruning.removal import remove_lowest
from stages import export, footprint
from tests import toys
from tests.conftest import CHECKOUT
from tests.toy_training import drawn

ROUNDS = ["00", "01", "02", "03"]
DENSITIES = [1, 0.5, 0.2, 0.04]


def save_cell(folder, density, scale=1.0, shape=(1, 6, 6)):
    """Write a cell of two networks with random weights, the smallest of each layer pruned."""
    model = models.MODELS["lenet-300-100"](shape, 3)
    weights = {name: scale * values.numpy() for name, values in drawn(model, 2).items()}
    masks = {}
    for name in models.prunable(model):
        sizes = np.abs(weights[name]).reshape(2, -1).astype(np.float64)
        kept = [remove_lowest(own, np.ones(own.size, bool), 1 - density) for own in sizes]
        masks[name] = np.stack(kept).reshape(weights[name].shape)
        weights[name] *= masks[name]
    score = {"test_loss": 1.0, "test_accuracy": 0.25}
    curve = {"step": [10], "val_accuracy": [0.5]}
    networks = [
        {"replicate": number, "early_stop_step": 10, "early": score, "final": score, "curve": curve}
        for number in (0, 1)
    ]
    result = {"density": density, "layer_density": {}, "epochs_per_step": 1.0, "networks": networks}
    storage.save_cell(folder, weights, masks, result)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("footprint")
    measured = {"rounds": 2, "batches": [1, 4], "seconds": 0.001, "threads": 1, "bits": [2, 5]}
    values = toys.params_values(last_round=3, footprint=measured)
    toys.write_stage_params(folder / "params", values)
    dataset.save(folder / "data", **toys.data())
    save_cell(folder / "dense", 1)
    for number, density in zip(ROUNDS, DENSITIES, strict=True):
        save_cell(folder / "cells" / number, density)
    run(footprint, folder / "params/toy/footprint.json", *places(folder), folder / "metrics")
    return folder


def places(folder):
    return folder / "data", folder / "dense", folder / "cells"


def run(stage, *arguments, code=0):
    done = CliRunner().invoke(stage.main, [str(argument) for argument in arguments])
    assert done.exit_code == code, done.output
    return done


def table(folder, name):
    return pd.read_csv(folder / "metrics" / f"{name}.csv", dtype={"round": str})


def test_every_round_has_a_row_and_a_ticket_shrinks_with_its_density(folder):
    rows = table(folder, "footprint")
    assert rows["round"].tolist() == ROUNDS
    assert rows["density"].tolist() == pytest.approx(DENSITIES, abs=0.001)
    assert rows["bytes_ticket"].is_monotonic_decreasing
    assert (rows["bytes_dense"] == rows["bytes_dense"][0]).all()
    assert (rows["bytes_ticket"] < rows["bytes_gzip"])[1:].all()
    dense = 36 * 300 + 300 * 100 + 100 * 3
    assert rows["macs_dense"].tolist() == [dense] * 4
    assert rows["parameters"].tolist() == [round(dense * density) + 403 for density in DENSITIES]
    assert rows["macs_effective"].tolist() == [count - 403 for count in rows["parameters"]]
    assert (rows["macs_shrunk"] <= rows["macs_dense"]).all()
    assert rows["macs_shrunk"][3] < dense  # some units have no surviving weight
    assert (rows["memory_dense"] == 4 * (dense + 403)).all()


def test_only_the_timed_rounds_have_times(folder):
    rows = table(folder, "footprint").set_index("round")
    for batch in (1, 4):
        assert (rows.loc[["00", "03"], f"ms_best_{batch}"] > 0).all()
        assert set(rows.loc[["00", "03"], f"best_{batch}"]) <= {"shrunk", "sparse"}
    times = [name for name in rows if name.startswith(("ms_", "best_"))]
    assert len(times) == 2 * 5
    assert rows.loc[["01", "02"], times].isna().all(axis=None)
    assert rows.drop(columns=times).notna().all(axis=None)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        *((1, [0, 8]), (2, [0, 8]), (3, [0, 4, 8]), (4, [0, 3, 5, 8])),
        *((8, [0, 1, 2, 3, 5, 6, 7, 8]), (50, range(9))),
    ],
)
def test_timed_rounds_are_spread_evenly_from_the_first_to_the_last(count, expected):
    assert forms.timed_rounds(range(9), count) == list(expected)
    assert forms.timed_rounds(["00"], count) == ["00"]


def test_every_form_is_timed_on_every_batch(folder):
    rows = table(folder, "latency")
    cpu = rows[rows["device"] == "cpu"]
    assert cpu["round"].unique().tolist() == ["00", "03"]
    forms = cpu.groupby(["round", "batch"])["form"].apply(sorted)
    assert forms.tolist() == [["dense", "masked", "numpy", "shrunk", "sparse"]] * (2 * 2)
    assert (rows["ms_low"] <= rows["ms_median"]).all()
    assert (rows["ms_median"] <= rows["ms_high"]).all()


def test_parameters_are_counted_without_the_running_statistics_of_norms():
    build = partial(models.MODELS["resnet-20"], (3, 32, 32), 10)
    model = build()
    weights = {name: tensor.numpy() for name, tensor in models.initial_weights(build, 0, "he").items()}
    masks = {name: np.ones(weights[name].shape, bool) for name in models.prunable(model)}
    masks["conv1.weight"][:, 0, 0, 0] = False
    preparation = {"stored": 32, "side": 32, "shape": [3, 32, 32], "mean": 0.0, "std": 1.0}
    metadata = {"model": "resnet-20", "class_names": [*"abcdefghij"], "preparation": preparation}
    network = inference.build(weights, metadata)
    row = costs.in_memory((weights, masks, metadata), network, network)
    assert (row["parameters"], row["parameters_shrunk"]) == (269_722 - 16, 269_722)


def test_quantised_tickets_are_smaller_and_a_lossless_one_has_the_accuracy_of_its_network(folder):
    rows = table(folder, "quantised")
    assert sorted(set(rows["bits"])) == [2, 5, 32]
    data = toys.data()
    test = data["split"] == 2
    sizes = table(folder, "footprint").set_index("round")["bytes_ticket"]
    for number, own in rows.groupby("round"):
        weights, _ = storage.load_network(folder / "cells" / number)
        model = models.MODELS["lenet-300-100"]((1, 6, 6), 3)
        model.load_state_dict({name: torch.tensor(values[0]) for name, values in weights.items()})
        train = data["images"][data["split"] == 0]
        images = (torch.tensor(data["images"][test]) - train.mean()) / train.std()
        right = model(images.float()).argmax(1).numpy() == data["labels"][test]
        lossless = own[own["bits"] == 32].iloc[0]
        assert lossless["accuracy"] == pytest.approx(np.mean(right), abs=1e-6)
        assert lossless["bytes"] == sizes[number]
        assert own.sort_values("bits")["bytes"].is_monotonic_increasing
        assert (own["times_smaller"] > 1)[own["bits"] < 32].all()


def test_the_dense_network_is_the_one_of_the_folder_dense(folder, tmp_path):
    """Round 0 of a scheme may have been trained again."""
    params = json.loads((folder / "params/toy/footprint.json").read_text()) | {"rounds": ["00"]}
    (tmp_path / "params.json").write_text(json.dumps(params))
    save_cell(tmp_path / "dense", 1, scale=0.0)  # always answers the first class
    arguments = folder / "data", tmp_path / "dense", folder / "cells", tmp_path / "metrics"
    run(footprint, tmp_path / "params.json", *arguments)
    data = toys.data()
    accuracy = np.mean(data["labels"][data["split"] == 2] == 0)
    found = table(tmp_path, "quantised")["accuracy_dense"].tolist()
    assert found == pytest.approx([accuracy] * 3, abs=1e-6)


def export_params(folder, tmp_path, **chosen):
    params = json.loads((folder / "params/toy/export.json").read_text())
    params["export"] |= chosen
    (tmp_path / "export.json").write_text(json.dumps(params))
    return tmp_path / "export.json"


@pytest.mark.slow
def test_an_export_holds_every_form_and_writes_nothing_to_the_home_folder(folder, tmp_path):
    """By default, ONNX Runtime reports usage and writes a device identifier there."""
    home, output = tmp_path / "home", tmp_path / "export"
    home.mkdir()
    params = export_params(folder, tmp_path, round="02", replicate=1)
    command = [sys.executable, "-m", "stages.export", params, *places(folder), "none", output]
    environment = os.environ | {"HOME": str(home)}
    environment.pop("XDG_CACHE_HOME", None)
    done = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("threshold  test images named right  images of other classes named")
    assert done.stderr.count("\n") == 1
    assert "estimate" in done.stderr
    assert list(home.iterdir()) == []

    about = json.loads((output / "about.json").read_text())
    names = {"ticket.safetensors", "quantised.safetensors", "dense.onnx", "masked.onnx", "shrunk.onnx"}
    assert set(about["forms"]) == names
    plain = {"card.md", "masks.safetensors", "shrunk.pt2", "shrunk.safetensors", "widths.json"}
    assert {path.name for path in output.iterdir()} == names | plain | {"about.json"}
    forms = about["forms"]
    equal = "ticket.safetensors", "masked.onnx", "shrunk.onnx"
    assert len({forms[name]["test_accuracy"] for name in equal}) == 1
    assert forms["shrunk.onnx"]["parameters"] <= forms["dense.onnx"]["parameters"]
    weights, _, metadata = compact.load(output / "ticket.safetensors")
    stored, _ = storage.load_network(folder / "cells" / "02")
    for name, values in weights.items():
        np.testing.assert_array_equal(values, stored[name][1])
    assert {key: about[key] for key in metadata} == metadata
    assert (metadata["scheme"], metadata["round"], metadata["replicate"]) == ("original", "02", 1)

    # Another process writes the same bytes.
    dense = {name: values[1] for name, values in storage.load_network(folder / "dense")[0].items()}
    here, network = tmp_path / "here.onnx", inference.build(dense, metadata)
    onnx_file.save(here, network, metadata["preparation"], metadata["class_names"])
    assert here.read_bytes() == (output / "dense.onnx").read_bytes()

    # The threshold keeps 95% of the right answers on the validation images.
    data = toys.data()
    val = data["split"] == 1
    probabilities = inference.classify(inference.build(weights, metadata), data["images"][val], metadata)
    right = probabilities.argmax(1) == data["labels"][val]
    assert np.mean(probabilities.max(1)[right] >= metadata["threshold"]) >= 0.95


@pytest.mark.parametrize(
    ("chosen", "message"),
    [({"replicate": 2}, "replicates 0 to 1, not 2"), ({"round": "17"}, "does not exist")],
)
def test_an_export_of_a_missing_network_is_refused_and_writes_nothing(folder, tmp_path, chosen, message):
    params = export_params(folder, tmp_path, **chosen)
    done = run(export, params, *places(folder), "none", tmp_path / "none", code=2)
    assert message in done.stderr
    assert not (tmp_path / "none").exists()
