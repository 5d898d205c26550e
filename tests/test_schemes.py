import numpy as np
import pytest

from prunet.pruning.course import Course
from prunet.pruning.schemes import SCHEMES, Sources

MASK = np.zeros((2, 4, 5), bool)
MASK[0, 0] = MASK[1, :, 1] = True
DYNAMIC = {"densities": "uniform", "begin": 0.0, "end": 0.75, "every": 10, "drop": 0.3}
VALUES = np.arange(1, 41, dtype=np.float32).reshape(2, 4, 5)


def sources(draws=1, seed=0):
    return Sources(
        initial=lambda: {"w": VALUES, "bias": np.array([[7.0], [8.0]])},
        early=lambda: {"w": VALUES + 0.5, "bias": np.ones((2, 1))},
        trained=lambda: {"w": -VALUES, "bias": np.zeros((2, 1))},
        fresh=lambda: {"w": np.repeat(VALUES, draws, 0) * 100, "bias": np.zeros((2 * draws, 1))},
        masks={"w": MASK},
        rng=lambda replicate: np.random.default_rng([seed, replicate]),
        rewind=12,
        dynamic=DYNAMIC,
    )


@pytest.mark.parametrize(
    ("scheme", "values", "course"),
    [
        ("original", VALUES, Course()),
        ("rewind", VALUES + 0.5, Course(first=12)),
        ("trained", -VALUES, Course()),
        ("lr-rewind", -VALUES, Course(first=12)),
        ("fine-tune", -VALUES, Course(last_rate=True)),
        ("random", VALUES * 100, Course()),
        ("gradual", VALUES, Course(changes={"how": "gradual", "whole": []} | DYNAMIC)),
    ],
)
def test_schemes_of_values_keep_the_mask(scheme, values, course):
    ticket = SCHEMES[scheme](sources())
    np.testing.assert_array_equal(ticket.weights["w"], values)
    np.testing.assert_array_equal(ticket.masks["w"], MASK)
    assert ticket.course == course


def test_lr_rewinding_to_step_0_is_scheme_trained():
    ticket = SCHEMES["lr-rewind"](sources()._replace(rewind=0))
    again = SCHEMES["trained"](sources())
    np.testing.assert_array_equal(ticket.weights["w"], again.weights["w"])
    assert ticket.course == again.course


def test_several_random_draws_train_under_the_mask_of_their_replicate():
    weights, masks, _ = SCHEMES["random"](sources(draws=3))
    assert weights["w"].shape == masks["w"].shape == (6, 4, 5)
    for network in range(6):
        np.testing.assert_array_equal(masks["w"][network], MASK[network // 3])


def test_a_shuffled_ticket_keeps_its_values_and_loses_its_places():
    weights, masks, _ = SCHEMES["shuffled"](sources())
    for replicate in range(2):
        kept = sorted(weights["w"][replicate][masks["w"][replicate]])
        assert kept == sorted(VALUES[replicate][MASK[replicate]])
        assert not np.array_equal(masks["w"][replicate], MASK[replicate])
    np.testing.assert_array_equal(weights["bias"], [[7], [8]])
    assert VALUES[0, 0, 0] == 1  # the source is left as it was


def test_a_random_mask_keeps_the_count_of_every_layer_and_the_values_of_its_places():
    weights, masks, _ = SCHEMES["random-mask"](sources())
    np.testing.assert_array_equal(weights["w"], VALUES)
    assert masks["w"].sum((1, 2)).tolist() == MASK.sum((1, 2)).tolist() == [5, 4]
    assert not np.array_equal(masks["w"], MASK)


@pytest.mark.parametrize("scheme", ["static", "set", "rigl", "sparse-momentum"])
def test_sparse_training_starts_from_a_random_mask_of_the_rounds_density(scheme):
    weights, masks, course = SCHEMES[scheme](sources())
    np.testing.assert_array_equal(weights["w"], VALUES)
    assert masks["w"].sum((1, 2)).tolist() == MASK.sum((1, 2)).tolist() == [5, 4]
    assert not np.array_equal(masks["w"], MASK)
    changes = None if scheme == "static" else {"how": scheme, "whole": []} | DYNAMIC
    assert course == Course(changes=changes)


@pytest.mark.parametrize("scheme", ["static", "set", "rigl", "sparse-momentum"])
def test_sparse_training_leaves_whole_what_the_round_does(scheme):
    """And the others have as many weights as in the round, drawn as without it."""
    masks = {"first": np.ones((2, 3, 5), bool), "w": MASK}
    ticket = SCHEMES[scheme](sources()._replace(masks=masks))
    assert ticket.masks["first"].all()
    np.testing.assert_array_equal(ticket.masks["w"], SCHEMES[scheme](sources()).masks["w"])
    if scheme != "static":
        assert ticket.course.changes["whole"] == ["first"]


def test_sparse_training_at_density_1_is_dense():
    ticket = SCHEMES["set"](sources()._replace(masks={"w": np.ones((2, 4, 5), bool)}))
    assert ticket.masks["w"].all()


def test_sparse_training_has_layer_densities_of_its_own():
    """Layers of 4 x 5 and 2 x 2 weights, 12 together: as 9 to 4 (8.3 and 3.7), or as 20 to 4."""
    masks = {"large": np.ones((1, 4, 5), bool), "small": np.ones((1, 2, 2), bool)}
    masks["large"][0].flat[:11] = masks["small"][0, 0, 0] = False
    given = sources()._replace(masks=masks)
    for densities, counts in (("erdos-renyi-kernel", [8, 4]), ("uniform", [10, 2])):
        drawn = SCHEMES["static"](given._replace(dynamic={"densities": densities})).masks
        assert [int(mask.sum()) for mask in drawn.values()] == counts


@pytest.mark.parametrize("scheme", ["shuffled", "random-mask", "static"])
def test_controls_are_drawn_from_their_seed(scheme):
    first, again, other = (SCHEMES[scheme](sources(seed=seed)).masks["w"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(
        first[0].ravel().argsort(kind="stable"), first[1].ravel().argsort(kind="stable")
    )
