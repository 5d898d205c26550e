"""The sweep: dense networks pruned once and tested as they are."""

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from prunet.analysis import summary
from prunet.cells import storage as tickets
from prunet.data import dataset
from prunet.training.cells import Study
from stages import sweep, train
from tests import toys
from tests.test_params import PARAMS

SPARSITIES = [0.0, 0.5, 1.0]


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A dense toy study on disk, swept by a criterion of weights, one of units and one with gradients."""
    folder = tmp_path_factory.mktemp("toy")
    values = yaml.safe_load(PARAMS.read_text())
    values["studies"] = {"toy": toys.block(weight_decay=0.0) | {"dataset": "optdigits"}}
    values["image_studies"], values["prune"]["layers"]["leave_out"] = ["toy"], ["output.weight"]
    criteria = ["magnitude", "unit-l2", "taylor"]
    published = [{"criterion": "unit-l2", "sparsity": 0.5, "accuracy": 0.4}]
    values["sweep"] = {
        "studies": ["toy"],
        "criteria": criteria,
        "sparsities": SPARSITIES,
        "published": published,
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    dataset.save(folder / "data", **toys.data())
    study = ["--params", folder / "params.yaml", "--study", "toy"]
    run(
        train,
        *study,
        "--unfinished",
        folder / "u",
        *(folder / n for n in ("data", "init", "rewind", "dense")),
    )
    run(sweep, *study, *(folder / n for n in ("data", "init", "dense", "sweep.csv", "plots")))
    return folder, values


def run(stage, *arguments):
    done = CliRunner().invoke(stage.main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done


def test_nothing_gone_is_the_dense_network_and_everything_gone_is_chance(toy):
    folder, _ = toy
    table = summary.read(folder / "sweep.csv")
    dense = [
        network["final"]["test_accuracy"]
        for network in yaml.safe_load((folder / "dense" / "result.json").read_text())["networks"]
    ]
    whole = table[table["sparsity"] == 0]
    assert whole["accuracy_mean"].tolist() == pytest.approx([np.mean(dense)] * 3, rel=1e-5)
    assert whole["density"].tolist() == [1, 1, 1]
    gone = table[table["sparsity"] == 1]
    assert (gone["accuracy_mean"] < 0.6).all()
    # One weight or unit of each layer is left, and the output layer is left out.
    # What reads a unit that is gone is gone as well.
    left = {"magnitude": 1 + 1 + 300, "taylor": 1 + 1 + 300, "unit-l2": 36 + 1 + 3}
    for name, weights in left.items():
        row = gone[gone["criterion"] == name].iloc[0]
        assert row["density"] == pytest.approx(weights / (36 * 300 + 300 * 100 + 300), rel=1e-4)
    for _, rows in table.groupby("criterion"):
        assert rows["bytes_ticket"].is_monotonic_decreasing


def test_a_row_is_what_the_masked_networks_reach_on_the_test_split(toy):
    folder, values = toy
    weights, masks = tickets.load_network(folder / "dense")
    for name in ("fc1.weight", "fc2.weight"):
        for replicate in range(2):
            flat = np.abs(weights[name][replicate]).ravel()
            masks[name][replicate].ravel()[np.argsort(flat, kind="stable")[: flat.size // 2]] = False
    study = Study.of(values, "toy", dataset.load(folder / "data"), folder)
    images, labels = study.splits["test"]
    found = []
    for replicate in range(2):
        features = images.flatten(1).numpy()
        for layer in ("fc1", "fc2", "output"):
            weight = weights[f"{layer}.weight"][replicate] * masks[f"{layer}.weight"][replicate]
            features = features @ weight.T + weights[f"{layer}.bias"][replicate]
            features = np.maximum(features, 0) if layer != "output" else features
        found.append(float((features.argmax(1) == labels.numpy()).mean()))
    table = summary.read(folder / "sweep.csv")
    row = table[(table["criterion"] == "magnitude") & (table["sparsity"] == 0.5)].iloc[0]
    assert row["accuracy_mean"] == pytest.approx(np.mean(found), rel=1e-5)
