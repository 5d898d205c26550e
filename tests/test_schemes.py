import numpy as np
import pytest

from prunet.pruning.schemes import SCHEMES, Sources

MASK = np.zeros((2, 4, 5), bool)
MASK[0, 0] = MASK[1, :, 1] = True
VALUES = np.arange(1, 41, dtype=np.float32).reshape(2, 4, 5)


def sources(draws=1, seed=0):
    return Sources(
        initial=lambda: {"w": VALUES, "bias": np.array([[7.0], [8.0]])},
        trained=lambda: {"w": -VALUES, "bias": np.zeros((2, 1))},
        fresh=lambda: {"w": np.repeat(VALUES, draws, 0) * 100, "bias": np.zeros((2 * draws, 1))},
        masks={"w": MASK},
        rng=lambda replicate: np.random.default_rng([seed, replicate]),
    )


@pytest.mark.parametrize(
    ("scheme", "values"), [("original", VALUES), ("trained", -VALUES), ("random", VALUES * 100)]
)
def test_schemes_of_values_keep_the_mask(scheme, values):
    weights, masks = SCHEMES[scheme](sources())
    np.testing.assert_array_equal(weights["w"], values)
    np.testing.assert_array_equal(masks["w"], MASK)


def test_several_random_draws_train_under_the_mask_of_their_replicate():
    weights, masks = SCHEMES["random"](sources(draws=3))
    assert weights["w"].shape == masks["w"].shape == (6, 4, 5)
    for network in range(6):
        np.testing.assert_array_equal(masks["w"][network], MASK[network // 3])


def test_a_shuffled_ticket_keeps_its_values_and_loses_its_places():
    weights, masks = SCHEMES["shuffled"](sources())
    for replicate in range(2):
        kept = sorted(weights["w"][replicate][masks["w"][replicate]])
        assert kept == sorted(VALUES[replicate][MASK[replicate]])
        assert not np.array_equal(masks["w"][replicate], MASK[replicate])
    np.testing.assert_array_equal(weights["bias"], [[7], [8]])
    assert VALUES[0, 0, 0] == 1  # the source is left as it was


def test_a_random_mask_keeps_the_count_of_every_layer_and_the_values_of_its_places():
    weights, masks = SCHEMES["random-mask"](sources())
    np.testing.assert_array_equal(weights["w"], VALUES)
    assert masks["w"].sum((1, 2)).tolist() == MASK.sum((1, 2)).tolist() == [5, 4]
    assert not np.array_equal(masks["w"], MASK)


@pytest.mark.parametrize("scheme", ["shuffled", "random-mask"])
def test_controls_are_drawn_from_their_seed(scheme):
    first, again, other = (SCHEMES[scheme](sources(seed=seed))[1]["w"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(
        first[0].ravel().argsort(kind="stable"), first[1].ravel().argsort(kind="stable")
    )
