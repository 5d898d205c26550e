from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from prunet.analysis import figures, stability
from prunet.training.cells import Study
from tests import toys


@pytest.fixture
def study(tmp_path):
    return Study("toy", toys.block(steps=60), 0, toys.data(), Path(tmp_path), 1000)


def test_a_barrier_is_the_height_above_the_mean_of_the_ends():
    assert stability.barrier(pd.Series([1.0, 4.0, 2.0])) == 2.5
    assert stability.barrier(pd.Series([0.5, 0.5, 0.5])) == 0
    assert stability.barrier(pd.Series([1.0, 0.0, 3.0])) == 1  # an end is on the path


def test_a_path_from_a_network_to_itself_is_flat(study):
    weights = study.initial_weights("init")
    walked = stability.path(study, weights, weights)
    assert len(walked) == 2 * stability.POINTS
    assert walked.groupby("network")["loss"].apply(stability.barrier).tolist() == pytest.approx(
        [0, 0], abs=1e-6
    )


def test_the_ends_of_a_path_are_the_two_networks_and_its_middle_is_their_mean(study):
    first, second = study.initial_weights("init"), study.initial_weights("random", "01")
    there, back = stability.path(study, first, second), stability.path(study, second, first)
    np.testing.assert_allclose(there["loss"][:11], back["loss"][10::-1], rtol=1e-5)
    mean = {name: (first[name] + second[name]) / 2 for name in first}
    assert there["loss"][5] == pytest.approx(stability.path(study, mean, mean)["loss"][0], rel=1e-5)
    assert there["loss"][0] != pytest.approx(there["loss"][10], rel=1e-3)


def test_networks_from_other_start_values_are_farther_apart_than_from_the_same(study):
    """A network and its copy with permuted units are equal functions with a barrier between them."""
    start, masks = study.initial_weights("init"), study.dense_masks()
    trained = study.train("dense", start, masks, ("init",)).weights
    permuted = dict(trained)
    order = np.random.default_rng(0).permutation(300)
    permuted["fc1.weight"], permuted["fc1.bias"] = (
        trained["fc1.weight"][:, order],
        trained["fc1.bias"][:, order],
    )
    permuted["fc2.weight"] = trained["fc2.weight"][:, :, order]
    walked = stability.path(study, trained, permuted)
    single = walked[walked["network"] == 0]["loss"].to_numpy()
    assert single[0] == pytest.approx(single[-1], rel=1e-4)
    assert stability.barrier(pd.Series(single)) > 0.05


def test_barriers_are_means_over_networks_with_intervals_and_are_drawn():
    paths = pd.DataFrame(
        {
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
    assert table["loss_mean"].tolist() == [2, 0]
    assert table["loss_ci95"].iloc[0] == pytest.approx(
        12.7062, rel=1e-4
    )  # standard error 1, one degree of freedom
    axes, error_axes = figures.barriers(table, "toy").axes
    assert axes.lines[0].get_ydata().tolist() == [2, 0]
    assert error_axes.lines[0].get_ydata().tolist() == [0, 0]
