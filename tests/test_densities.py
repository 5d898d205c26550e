import numpy as np
import pytest

from prunet.retraining.densities import DENSITIES, apportion, random_mask, survivors
from prunet.retraining.sparse_training import lowest

CONV_AND_LINEAR = {"conv": (8, 4, 3, 3), "fc": (4, 2)}  # 288 and 8 weights, dimensions sum to 18 and 6


@pytest.mark.parametrize(
    ("shapes", "total", "densities", "expected"),
    [
        # In proportion to the sum of dimensions.
        (CONV_AND_LINEAR, 24, "erdos-renyi-kernel", [18, 6]),
        (CONV_AND_LINEAR, 4, "erdos-renyi-kernel", [3, 1]),
        # 24 x 5/25 do not fit into four weights: the other layer gets 20.
        ({"small": (4, 1), "large": (10, 10)}, 24, "erdos-renyi-kernel", [4, 20]),
        # The same share of every layer.
        (CONV_AND_LINEAR, 148, "uniform", [144, 4]),
    ],
)
def test_numbers_of_weights_by_layer(shapes, total, densities, expected):
    assert list(survivors(shapes, total, densities).values()) == expected


@pytest.mark.parametrize("densities", DENSITIES)
def test_the_total_is_exact_at_every_density_and_no_layer_is_empty_or_overfull(densities):
    shapes = {"a": (300, 64), "b": (100, 300), "c": (10, 100), "d": (3, 1, 5, 5)}
    sizes = {name: int(np.prod(shape)) for name, shape in shapes.items()}
    for total in (4, 5, 17, 1000, 5026, 33_333, sum(sizes.values()) - 1, sum(sizes.values())):
        counts = survivors(shapes, total, densities)
        assert sum(counts.values()) == total
        assert all(1 <= counts[name] <= sizes[name] for name in shapes)


@pytest.mark.parametrize(
    ("total", "shares", "room", "expected"),
    [
        (10, [1, 1, 2], [9, 9, 9], [3, 2, 5]),  # of the remainders 0.5 and 0.5 the first
        (10, [1, 1, 2], [9, 1, 9], [3, 1, 6]),
        (5, [0, 2], [3, 3], [2, 3]),  # no share, but nobody else has room
        (4, [0, 0], [3, 3], [2, 2]),
        (0, [1, 2], [3, 3], [0, 0]),
        (6, [1, 2], [3, 3], [3, 3]),
    ],
)
def test_a_total_is_split_into_whole_numbers(total, shares, room, expected):
    assert apportion(total, shares, room) == expected


def test_random_masks_have_their_counts_and_follow_their_seed():
    counts = {"conv": 18, "fc": 6}
    first, again, other = (
        random_mask(counts, CONV_AND_LINEAR, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    for name, count in counts.items():
        assert first[name].shape == CONV_AND_LINEAR[name]
        assert first[name].sum() == count
        np.testing.assert_array_equal(first[name], again[name])
    assert not np.array_equal(first["conv"], other["conv"])


def test_of_equal_scores_the_first_are_the_lowest_and_never_one_too_many():
    scores = np.array([2.0, 1, 2, 0, 2, np.inf])
    order = [3, 1, 0, 2, 4, 5]
    assert [sorted(lowest(scores, count)) for count in range(7)] == [sorted(order[:n]) for n in range(7)]
    assert lowest(np.array([]), 0).tolist() == []
