"""The sweep: dense networks pruned once and tested without retraining."""

import numpy as np
import pytest
import torch

from prunet.analysis import sweep as analysis
from prunet.base import tables
from prunet.cells import storage
from prunet.cells.masks import density
from prunet.data.images import dataset
from prunet.pruning.rounds import TrainedNetworks
from stages import sweep
from tests import toys
from tests.toy_cells import cell, maker, outcome
from tests.toy_tools import invoke

SPARSITIES = [0.0, 0.5, 1.0]
COLUMNS = (
    *("sparsity", "density", "replicates", "accuracy_mean", "accuracy_std", "accuracy_ci95", "bytes_ticket"),
)


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    """Return dense networks, and the table of a criterion of weights, one of units and one with gradients."""
    folder = tmp_path_factory.mktemp("toy")
    trainer = maker(folder)(weight_decay=0.0)
    start = trainer.initial_weights("init")
    (dense,) = trainer.train([cell(trainer, "dense", start)])
    storage.save_weights(folder / "init", start)
    dataset.save(folder / "data", **toys.data())
    values = toys.params_values(
        training={"weight_decay": 0.0},
        study={"layers": {"leave_out": ["output"], "own_rate": {}}},
        sweep={"criteria": ["magnitude", "unit-l2", "taylor"], "sparsities": SPARSITIES, "published": []},
    )
    toys.write_stage_params(folder, values)
    inputs = (folder / "toy" / "sweep.json", folder / "data", folder / "init", dense)
    done = invoke(sweep, *inputs, folder / "sweep.csv")
    assert done.exit_code == 0, done.output
    return trainer, outcome(dense), tables.read(folder / "sweep.csv", COLUMNS)


def test_sparsity_0_is_the_dense_network_and_sparsity_1_is_chance(swept):
    _, (_, _, result), table = swept
    dense = [network["final"]["test_accuracy"] for network in result["networks"]]
    whole = table[table["sparsity"] == 0]
    assert whole["accuracy_mean"].tolist() == pytest.approx([np.mean(dense)] * 3, rel=1e-5)
    assert whole["density"].tolist() == [1, 1, 1]
    gone = table[table["sparsity"] == 1]
    assert (gone["accuracy_mean"] < 0.6).all()
    # One weight or unit of each layer is left, and the output layer is left out. Weights that read a removed
    # unit go with it.
    left = {"magnitude": 1 + 1 + 300, "taylor": 1 + 1 + 300, "unit-l2": 36 + 1 + 3}
    for name, weights in left.items():
        row = gone[gone["criterion"] == name].iloc[0]
        assert row["density"] == pytest.approx(weights / (36 * 300 + 300 * 100 + 300), rel=1e-4)
    for _, rows in table.groupby("criterion"):
        assert rows["bytes_ticket"].is_monotonic_decreasing


def test_accuracy_is_that_of_the_masked_networks_on_the_test_split(swept):
    trainer, (weights, masks, _), table = swept
    for name in ("fc1.weight", "fc2.weight"):
        for replicate in range(2):
            flat = np.abs(weights[name][replicate]).ravel()
            masks[name][replicate].ravel()[np.argsort(flat, kind="stable")[: flat.size // 2]] = False
    images, labels = trainer.splits["test"]
    found = []
    for replicate in range(2):
        stacks = weights | {name: weights[name] * mask for name, mask in masks.items()}
        state = {name: torch.from_numpy(values[replicate]) for name, values in stacks.items()}
        logits = torch.func.functional_call(trainer.model, state, images.cpu())
        found.append(float((logits.argmax(1) == labels.cpu()).float().mean()))
    row = table[(table["criterion"] == "magnitude") & (table["sparsity"] == 0.5)].iloc[0]
    assert row["accuracy_mean"] == pytest.approx(np.mean(found), rel=1e-5)


@pytest.mark.field
def test_layers_with_their_own_rate_are_swept_at_their_own_pace(swept):
    trainer, (weights, masks, _), _ = swept
    masks = {name: np.ones_like(mask) for name, mask in masks.items()}
    networks = TrainedNetworks(weights, masks, lambda: weights, lambda: None)
    shares = []
    pace = {"output.weight": 0.0, "fc1.weight": 0.5}
    options = {"scope": "layer", "empty_layers": "keep-one", "seed": 0}
    analysis.sweep(
        trainer,
        networks,
        ["magnitude"],
        [0.75],
        lambda _, mask: shares.append({name: density({name: values}) for name, values in mask.items()}),
        pace,
        **options,
    )
    assert shares == [{"fc1.weight": 0.5, "fc2.weight": 0.25, "output.weight": 1}]
