import math

import numpy as np
import pytest

from prunet.pruning.masks import CRITERIA, density, prune, remove_lowest

OPTIONS = {"rate": 0.2, "output_rate_factor": 1.0, "scope": "layer", "criterion": "magnitude", "seed": 0}


def network(*sizes, replicates=1):
    """Layers whose weights are 1, 2, 3...: the lowest are known."""
    weights = {
        f"layer{i}": np.tile(np.arange(1, size + 1, dtype=np.float32), (replicates, 1))
        for i, size in enumerate(sizes)
    }
    return weights, {name: np.ones(values.shape, bool) for name, values in weights.items()}


@pytest.mark.parametrize(
    ("rate", "left"),
    [(0.0, [1, 2, 3, 4, 5]), (0.2, [2, 3, 4, 5]), (0.5, [4, 5]), (0.49, [3, 4, 5]), (1.0, [5])],
)
def test_exactly_the_rounded_share_of_the_lowest_goes_and_one_weight_stays(rate, left):
    weights, masks = network(5)
    after = prune(weights, masks, **OPTIONS | {"rate": rate})
    assert weights["layer0"][after["layer0"]].tolist() == left


def test_the_sign_does_not_count():
    weights = {"a": np.array([[-3, 1, -2, 4, -0.5]], np.float32)}
    after = prune(weights, {"a": np.ones((1, 5), bool)}, **OPTIONS | {"rate": 0.4})
    assert after["a"].tolist() == [[True, False, True, True, False]]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ties_never_remove_more_and_the_earlier_go_first(value):
    after = remove_lowest(np.full(10, value), np.ones(10, bool), 0.3)
    assert after.tolist() == [False] * 3 + [True] * 7


def test_a_surviving_zero_is_not_a_pruned_weight():
    weights = {"a": np.array([[0, 0, 5, 6]], np.float32)}
    masks = {"a": np.array([[True, False, True, True]])}
    after = prune(weights, masks, **OPTIONS | {"rate": 1 / 3})
    assert after["a"].tolist() == [[False, False, True, True]]


def test_masks_nest_and_density_follows_the_rate_down_to_one_weight():
    rng = np.random.default_rng(0)
    weights = {
        "a": rng.normal(size=(1, 40, 25)).astype(np.float32),
        "b": rng.normal(size=(1, 7)).astype(np.float32),
    }
    masks = {name: np.ones(values.shape, bool) for name, values in weights.items()}
    left = 1000
    for _ in range(60):
        after = prune(weights, masks, **OPTIONS)
        assert all(np.all(masks[name] >= after[name]) for name in masks)
        left -= min(math.floor(0.2 * left + 0.5), left - 1)
        assert after["a"].sum() == left
        masks = after
    assert left == 2  # round(0.2 * 2) = 0: two weights lose none
    assert masks["b"].sum() == 2


def test_eight_rounds_at_a_fifth_leave_a_sixth():
    weights, masks = network(10_000)
    for _ in range(8):
        masks = prune(weights, masks, **OPTIONS)
    assert density(masks) == pytest.approx(0.8**8, abs=1e-4)


def test_the_output_layer_has_its_own_rate():
    weights, masks = network(10, 20)
    after = prune(weights, masks, **OPTIONS | {"output_rate_factor": 0.5})
    assert {name: int(mask.sum()) for name, mask in after.items()} == {"layer0": 8, "layer1": 18}


def test_global_scope_ranks_all_layers_together_and_empties_none():
    weights = {"low": np.array([[1, 2, 3, 4]], np.float32), "high": np.array([[5, 6, 7, 8]], np.float32)}
    masks = {name: np.ones((1, 4), bool) for name in weights}
    half = prune(weights, masks, **OPTIONS | {"scope": "global", "rate": 0.25})
    assert half["low"].tolist() == [[False, False, True, True]]
    assert half["high"].all()
    most = prune(weights, masks, **OPTIONS | {"scope": "global", "rate": 0.75})
    assert weights["low"][most["low"]].tolist() == [4]  # without its protection the layer would be gone
    assert weights["high"][most["high"]].tolist() == [8]


def test_replicates_do_not_depend_on_each_other():
    rng = np.random.default_rng(1)
    weights = {"a": rng.normal(size=(3, 50)).astype(np.float32)}
    masks = {"a": np.ones((3, 50), bool)}
    for criterion in CRITERIA:
        options = OPTIONS | {"criterion": criterion}
        together = prune(weights, masks, **options)["a"]
        alone = prune({"a": weights["a"][:1]}, {"a": masks["a"][:1]}, **options)["a"]
        np.testing.assert_array_equal(together[:1], alone)


def test_the_random_criterion_follows_its_seed_and_ignores_magnitude():
    weights, masks = network(1000)
    first = prune(weights, masks, **OPTIONS | {"criterion": "random", "seed": 1})["layer0"]
    again = prune(weights, masks, **OPTIONS | {"criterion": "random", "seed": 1})["layer0"]
    other = prune(weights, masks, **OPTIONS | {"criterion": "random", "seed": 2})["layer0"]
    np.testing.assert_array_equal(first, again)
    assert first.sum() == other.sum() == 800
    assert (first != other).any()
    assert not first[0, 500:].all()  # magnitude would keep all of these
