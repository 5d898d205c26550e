"""Rounds that remove single weights."""

import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.cells.masks import density
from prunet.pruning.removal import remove_lowest
from tests.toy_pruning import pruned


def network(*sizes, replicates=1):
    """Return layers with the weights 1, 2, 3..."""
    return {
        f"layer{i}": np.tile(np.arange(1, size + 1, dtype=np.float32), (replicates, 1))
        for i, size in enumerate(sizes)
    }


def counts(masks):
    return [int(mask.sum()) for mask in masks.values()]


@pytest.mark.parametrize(
    ("rate", "left"),
    [(0.0, [1, 2, 3, 4, 5]), (0.2, [2, 3, 4, 5]), (0.5, [4, 5]), (0.49, [3, 4, 5]), (1.0, [5])],
)
def test_exactly_the_rounded_share_of_the_lowest_is_removed_and_one_weight_stays(rate, left):
    weights = network(5)
    assert weights["layer0"][pruned(weights, rate=rate)["layer0"]].tolist() == left


def test_signs_do_not_matter():
    after = pruned({"a": np.array([[-3, 1, -2, 4, -0.5]], np.float32)}, rate=0.4)
    assert after["a"].tolist() == [[True, False, True, True, False]]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_ties_never_remove_more_and_the_earlier_go_first(value):
    after = remove_lowest(np.full(10, value), np.ones(10, bool), 0.3)
    assert after.tolist() == [False] * 3 + [True] * 7


def test_a_surviving_zero_is_not_a_pruned_weight():
    weights = {"a": np.array([[0, 0, 5, 6]], np.float32)}
    after = pruned(weights, {"a": np.array([[True, False, True, True]])}, rate=1 / 3)
    assert after["a"].tolist() == [[False, False, True, True]]


def test_eight_rounds_at_a_fifth_leave_a_sixth():
    weights, masks = network(10_000), None
    for _ in range(8):
        masks = pruned(weights, masks)
    assert density(masks) == pytest.approx(0.8**8, abs=1e-4)


def test_one_shot_removes_from_the_dense_networks_as_much_as_all_rounds():
    weights = network(10_000, 1000)
    options = {"schedule": "one-shot", "own": {"layer0": 0.1, "layer1": 0.1}}
    after = pruned(weights, number=8, **options)
    assert counts(after) == [round(10_000 * 0.9**8), round(1000 * 0.9**8)]
    assert after["layer0"][0, -1]
    first = pruned(weights, **options | {"schedule": "iterative"})
    assert counts(pruned(weights, number=1, **options)) == counts(first)


def test_global_scope_ranks_all_layers_together_and_empties_none():
    weights = {"low": np.array([[1, 2, 3, 4]], np.float32), "high": np.array([[5, 6, 7, 8]], np.float32)}
    half = pruned(weights, scope="global", rate=0.25)
    assert half["low"].tolist() == [[False, False, True, True]]
    assert half["high"].all()
    most = pruned(weights, scope="global", rate=0.75)
    assert weights["low"][most["low"]].tolist() == [4]  # without its protection the layer would be empty
    assert weights["high"][most["high"]].tolist() == [8]


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_layers_left_out_stay_and_the_others_lose_their_own_share(scope):
    after = pruned(network(10, 20, 30), scope=scope, rate=0.5, own={"layer0": 0, "layer2": 0.1})
    assert counts(after) == [10, 10, 27]
    everything = pruned(network(10, 20), scope=scope, own={"layer0": 0, "layer1": 0})
    assert counts(everything) == [10, 20]


def test_global_scope_ranks_the_layers_without_their_own_rate():
    after = pruned(network(10, 20, 4), scope="global", rate=0.5, own={"layer0": 0})
    assert counts(after) == [10, 11, 1]  # 1 to 9 of layer1 and 1 to 3 of layer2, whose 4 is its best


def test_emptying_a_layer_is_refused_by_name():
    asked = {"empty_layers": "refuse", "rate": 0.9}
    with pytest.raises(
        InputError, match=r"\(scope layer\) would remove all weights of layer1 .* rate of 0\.9:"
    ):
        pruned(network(10, 3), **asked)
    low = {"low": np.array([[1, 2]], np.float32), "high": np.array([[3, 4, 5, 6]], np.float32)}
    with pytest.raises(
        InputError, match=r"\(scope global\) would remove all weights of low .* rate of 0\.34:"
    ):
        pruned(low, empty_layers="refuse", scope="global", rate=0.34)
    left = pruned(low, empty_layers="refuse", scope="global", rate=1 / 6)  # no weight is protected
    assert left["low"].tolist() == [[False, True]]
    with pytest.raises(InputError, match=r"all weights of layer0 at a rate of 0\.9981"):
        pruned(network(10), empty_layers="refuse", schedule="one-shot", number=28)


def test_the_random_criterion_draws_layer_after_layer_from_the_seed_of_its_replicate():
    weights = network(10, 20, replicates=2)
    after = pruned(weights, criterion="random", seed=7)
    for replicate in range(2):
        rng = np.random.default_rng([7, replicate])
        for mask in after.values():
            lowest = np.argsort(rng.random(mask.shape[1]))[: mask.shape[1] // 5]
            assert np.flatnonzero(~mask[replicate]).tolist() == sorted(lowest)


def test_scores_that_are_not_numbers_are_refused():
    with pytest.raises(InputError, match="scores of layer0 are not numbers"):
        pruned({"layer0": np.array([[1, np.nan]], np.float32)})
