"""Changes of masks on layers of six weights, by hand."""

import itertools

import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.training.dynamics import DYNAMICS, Moment, change_steps

WEIGHTS = np.array([1, -2, 0, 3, 0, 4], np.float32)
MASK = WEIGHTS != 0
SETTINGS = {"steps": 200, "optimizer": "sgd", "momentum": 0.9}


def moment(weights=None, *, progress=0.0, drop=0.5, ends=None, gradients=None, momenta=None, rng=None):
    weights = weights or {"w": WEIGHTS}
    nothing = {name: np.zeros_like(values) for name, values in weights.items()}
    return Moment(
        progress=progress,
        drop=drop,
        ends=ends or {},
        weights=weights,
        gradients=gradients or nothing,
        momenta=momenta or nothing,
        masks={name: values != 0 for name, values in weights.items()},
        rng=rng or np.random.default_rng(0),
    )


def places(mask):
    return np.flatnonzero(mask).tolist()


def test_the_cubic_curve_of_gradual_pruning_by_hand():
    """8 + 56 (1 - p)^3 weights of 64: 64, 31.625, 15, 8.875, 8."""
    weights = {"w": np.arange(1, 65, dtype=np.float32)}
    for progress, count in ((0, 64), (0.25, 32), (0.5, 15), (0.75, 9), (1, 8)):
        after = DYNAMICS["gradual"](moment(weights, progress=progress, ends={"w": 8}))
        assert places(after["w"]) == list(range(64 - count, 64))


def test_gradual_pruning_gives_every_layer_its_own_end_and_revives_nothing():
    weights = {"a": WEIGHTS, "b": WEIGHTS * [1, 1, 1, 1, 1, -9]}
    after = DYNAMICS["gradual"](moment(weights, progress=1, ends={"a": 1, "b": 3}))
    assert places(after["a"]) == [5]
    assert places(after["b"]) == [1, 3, 5]


def test_rigl_grows_where_the_gradient_is_largest():
    """Half of four are dropped, 1 and -2; of the empty places the third and fifth have most gradient."""
    after = DYNAMICS["rigl"](moment(gradients={"w": np.array([5, 1, -7, 9, 6, 9])}))
    assert places(after["w"]) == [2, 3, 4, 5]


def test_what_is_dropped_may_stay_by_its_gradient():
    after = DYNAMICS["rigl"](moment(gradients={"w": np.array([8, 1, -7, 0, 6, 0])}))
    assert places(after["w"]) == [0, 2, 3, 5]


@pytest.mark.parametrize(("progress", "dropped"), [(0, 2), (0.5, 1), (1, 0)])
def test_the_share_falls_along_a_cosine(progress, dropped):
    """Of four weights 0.5, 0.25 and 0."""
    after = DYNAMICS["rigl"](moment(progress=progress, gradients={"w": np.array([0, 0, 1, 0, 1, 0])}))
    assert (MASK & ~after["w"]).sum() == dropped


class Rigged:
    """A generator whose draws are known."""

    def random(self, size):
        return np.array([0.1, 0.2, 0.3, 0.99, 0.4, 0.98])[:size]


def test_set_drops_the_smallest_and_grows_at_random():
    assert places(DYNAMICS["set"](moment(rng=Rigged()))["w"]) == [2, 3, 4, 5]
    drawn = {tuple(places(DYNAMICS["set"](moment(rng=np.random.default_rng(n)))["w"])) for n in range(50)}
    assert drawn == {tuple(sorted((3, 5, *pair))) for pair in itertools.combinations((0, 1, 2, 4), 2)}


def test_sparse_momentum_moves_weights_to_the_layer_with_more_momentum():
    """Each layer loses two of four; the mean momenta of what stays, 1 and 3, share four weights 1 to 3."""
    layer = np.array([1, 2, 3, 4, 0, 0, 0, 0], np.float32)
    momenta = {
        "a": np.array([9, 9, 1, -1, 5, 6, 7, -8.0]),  # what was dropped may grow: both of 9, the first
        "b": np.array([0, 0, 3, 3, -5, 1, 6, 7.0]),
    }
    after = DYNAMICS["sparse-momentum"](moment({"a": layer, "b": layer}, momenta=momenta))
    assert places(after["a"]) == [0, 2, 3]
    assert places(after["b"]) == [2, 3, 4, 6, 7]


def test_sparse_momentum_fills_no_layer_beyond_its_size():
    full = np.array([1, 2, 3, 4], np.float32)
    empty = np.array([1, 2, 3, 4, 0, 0], np.float32)
    momenta = {"full": np.full(4, 9.0), "empty": np.full(6, 0.1)}
    after = DYNAMICS["sparse-momentum"](moment({"full": full, "empty": empty}, momenta=momenta))
    assert (after["full"].sum(), after["empty"].sum()) == (4, 4)


@pytest.mark.parametrize("how", ["set", "rigl", "sparse-momentum"])
def test_a_layer_keeps_a_weight_whatever_the_share(how):
    after = DYNAMICS[how](moment(drop=1.0))
    assert after["w"][5]
    assert after["w"].sum() == 4


def test_changes_come_from_begin_to_end():
    changes = {"how": "set", "begin": 0.1, "end": 0.75, "every": 40}
    assert list(change_steps(changes, SETTINGS)) == [20, 60, 100, 140]


def test_an_interval_without_changes_is_refused():
    changes = {"how": "rigl", "begin": 0.5, "end": 0.75, "every": 51}
    with pytest.raises(
        InputError, match=r"dynamic\.every is 51, and begin and end are steps 100 and 150 of 200: .* lower"
    ):
        change_steps(changes, SETTINGS)
    assert list(change_steps(changes | {"every": 50}, SETTINGS)) == [100, 150]


def test_sparse_momentum_without_momentum_is_refused():
    changes = {"how": "sparse-momentum", "begin": 0, "end": 1, "every": 10}
    with pytest.raises(InputError, match=r"sparse-momentum needs training\.momentum above 0, or .* adam"):
        change_steps(changes, SETTINGS | {"momentum": 0.0})
    change_steps(changes, SETTINGS | {"momentum": 0.0, "optimizer": "adam"})


def test_what_is_not_finite_is_noticed():
    assert moment().finite()
    assert not moment(momenta={"w": WEIGHTS * np.nan}).finite()
