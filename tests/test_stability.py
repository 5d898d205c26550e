"""Linear paths between two runs, and the barriers on them."""

import numpy as np
import pandas as pd
import pytest

from prunet.analysis import stability
from prunet.cells import storage
from tests.toy_cells import cell, maker, outcome


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    return maker(tmp_path_factory.mktemp("stability"))(steps=60)


def test_a_barrier_is_the_height_above_the_mean_of_the_ends():
    assert stability.barrier(pd.Series([1.0, 4.0, 2.0])) == 2.5
    assert stability.barrier(pd.Series([0.5, 0.5, 0.5])) == 0
    assert stability.barrier(pd.Series([1.0, 0.0, 3.0])) == 1  # an end is on the path


def test_a_path_from_a_network_to_itself_is_flat(trainer):
    weights = trainer.initial_weights("init")
    path = stability.path(trainer, weights, weights)
    assert len(path) == 2 * stability.POINTS
    heights = path.groupby("network")["loss"].apply(stability.barrier).tolist()
    assert heights == pytest.approx([0, 0], abs=1e-6)


def test_the_ends_of_a_path_are_the_two_networks_and_its_middle_is_their_mean(trainer):
    first, second = trainer.initial_weights("init"), trainer.initial_weights("random", "01")
    there, back = stability.path(trainer, first, second), stability.path(trainer, second, first)
    np.testing.assert_allclose(there["loss"][:11], back["loss"][10::-1], rtol=1e-5)
    mean = {name: (first[name] + second[name]) / 2 for name in first}
    assert there["loss"][5] == pytest.approx(stability.path(trainer, mean, mean)["loss"][0], rel=1e-5)
    assert there["loss"][0] != pytest.approx(there["loss"][10], rel=1e-3)


def test_between_a_network_and_its_copy_with_permuted_units_there_is_a_barrier(trainer):
    (folder,) = trainer.train([cell(trainer)])
    trained = outcome(folder)[0]
    permuted = dict(trained)
    order = np.random.default_rng(0).permutation(300)
    for name in ("fc1.weight", "fc1.bias"):
        permuted[name] = trained[name][:, order]
    permuted["fc2.weight"] = trained["fc2.weight"][:, :, order]
    path = stability.path(trainer, trained, permuted)
    loss = path[path["network"] == 0]["loss"].to_numpy()
    assert loss[0] == pytest.approx(loss[-1], rel=1e-4)
    assert stability.barrier(pd.Series(loss)) > 0.05


def test_runs_from_a_later_step_are_closer_and_from_the_last_they_are_one(tmp_path):
    """From the weights that each step leaves behind; those of the last are not trained any further."""
    trainer = maker(tmp_path)(steps=60, optimizer="sgd", lr=0.05, momentum=0.9)
    init, dense = tmp_path / "init.safetensors", tmp_path / "00"
    storage.save_weights(init, trainer.initial_weights("init"))
    storage.save_cell(dense, trainer.initial_weights("init"), trainer.dense_masks(), {})
    apart = []
    for step in (2, 50, 60):
        start = stability.snapshot(trainer, init, "data", step)
        ((first, second),) = stability.two_runs(trainer, [dense], start, "data", step)
        ends = [storage.load_network(folder)[0] for folder in (first, second)]
        distance = sum(np.square(ends[0][name] - ends[1][name]).sum() for name in ends[0])
        path = stability.path(trainer, *ends)
        apart.append((distance, path.groupby("network")["loss"].apply(stability.barrier).max()))
    (early, rises), (late, flat), (last, nothing) = apart
    assert early > 10 * late > 0
    assert rises > 3 * flat > 0
    assert last == 0
    assert nothing == pytest.approx(0, abs=1e-6)


def test_barriers_are_means_over_networks_with_intervals():
    paths = pd.DataFrame(
        {
            "start": [0] * 12,
            "round": ["00"] * 6 + ["01"] * 6,
            "density": [1.0] * 6 + [0.5] * 6,
            "network": [0, 0, 0, 1, 1, 1] * 2,
            "position": [0, 0.5, 1] * 4,
            "loss": [0, 1, 0, 0, 3, 0] + [0, 0, 0] * 2,
            "error": [0.0] * 12,
        }
    )
    table = stability.barriers(paths)
    assert table["round"].tolist() == ["00", "01"]
    assert table["start"].tolist() == [0, 0]
    assert table["density"].tolist() == [1.0, 0.5]
    assert table["loss_mean"].tolist() == [2, 0]
    # standard error 1, one degree of freedom
    assert table["loss_ci95"].iloc[0] == pytest.approx(12.7062, rel=1e-4)
    assert table["error_mean"].tolist() == [0, 0]
