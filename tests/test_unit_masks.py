"""Criteria of whole units, and their removal, worked out by hand."""

import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.pruning import unit_criteria
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from tests.toy_pruning import coupled, evidence, pruned

# Four filters of 1x2x1, and three fully connected units.
FILTERS = np.array([[3, 4], [0, -5], [-6, 8], [1, 1]], np.float32).reshape(4, 1, 2, 1)
UNITS = np.array([[1, 0], [0, 2], [2, 2]], np.float32)


def test_norms_of_rows():
    given = evidence({"conv": FILTERS, "fc": UNITS})
    lengths = unit_criteria.unit_l2(given)
    np.testing.assert_allclose(lengths["conv"], [5, 5, 10, 2**0.5])
    np.testing.assert_allclose(lengths["fc"], [1, 2, 8**0.5])
    assert {name: scores.tolist() for name, scores in unit_criteria.filter_l1(given).items()} == {
        "conv": [7, 5, 14, 2]
    }
    (filters,) = unit_criteria.filter_l2(given).items()
    np.testing.assert_array_equal(filters[1], lengths["conv"])


def test_unit_random_draws_one_score_for_each_row():
    given = evidence({"conv": FILTERS, "fc": UNITS}, rng=np.random.default_rng(3))
    scores = unit_criteria.unit_random(given)
    assert [*scores["conv"], *scores["fc"]] == np.random.default_rng(3).random(7).tolist()


def test_the_scale_of_the_norm_behind_a_layer():
    weights = {"conv": FILTERS, "bn1.weight": np.array([0.5, -2, 0, 1], np.float32)}
    masks = {"conv": np.ones(FILTERS.shape, bool)}
    scores = unit_criteria.batchnorm_scale(evidence(weights, masks, norms=lambda: {"conv": "bn1"}))
    assert scores["conv"].tolist() == [0.5, 2, 0, 1]
    assert scores["conv"].dtype == np.float64


def test_a_layer_without_a_norm_is_refused_by_name():
    with pytest.raises(InputError, match="behind every layer, and fc has none"):
        unit_criteria.batchnorm_scale(evidence({"conv": FILTERS, "fc": UNITS}, norms=lambda: {"conv": "bn1"}))


def test_distances_to_the_other_filters():
    """The corners of a rectangle of 3 by 4 and its middle: the middle is closest to all others."""
    rows = np.array([[0, 0], [3, 0], [0, 4], [3, 4], [1.5, 2]], np.float32)
    scores = unit_criteria.geometric_median(evidence({"conv": rows.reshape(5, 2, 1, 1)}))
    np.testing.assert_allclose(scores["conv"], [14.5, 14.5, 14.5, 14.5, 10])
    masks = {"conv": np.ones((5, 2, 1, 1), bool)}
    masks["conv"][4] = False  # distances to a pruned filter do not count
    without = unit_criteria.geometric_median(evidence({"conv": rows.reshape(5, 2, 1, 1)}, masks))
    np.testing.assert_allclose(without["conv"][:4], 12)


def tied(slopes, layers):
    """Return evidence of rows with these slopes, by image, which are tied by their ids."""
    weights = {name: np.ones((len(ids), 1), np.float32) for name, ids in layers.items()}
    found = {name: np.array(values, float) for name, values in slopes.items()}
    groups = {"group": {name: np.array(ids) for name, ids in layers.items()}}
    return evidence(weights, row_slopes=lambda weights: found, groups=lambda: groups)


def test_unit_fisher_adds_the_slopes_of_tied_rows_before_it_squares_them():
    """Of two images, unit 0 has the slopes 1 + 2 and 3 - 3, unit 1 has 4 and 0; the row with id -1 stays."""
    slopes = {"a": [[1, 4], [3, 0]], "b": [[9, 2], [9, -3]]}
    scores = unit_criteria.unit_fisher(tied(slopes, {"a": [0, 1], "b": [-1, 0]}))
    assert scores["a"].tolist() == [3**2 / 4, 4**2 / 4]
    assert scores["b"][1] == 3**2 / 4


def test_unit_taylor_is_the_square_of_the_mean_slope_of_a_unit():
    """The rows of a pair are (1, 2) and (0, -1); the gradient of each weight is 3. One weight is gone."""
    weights = {"a": np.array([[1, 2], [2, 2], [0, -1], [1, 5]], np.float32)}
    masks = {"a": np.array([[True, True], [True, True], [True, True], [True, False]])}
    gradients = {"a": np.full((4, 2), 3.0)}
    groups = {"a": {"a": np.array([0, 1, 0, 1])}}
    known = {"gradients": lambda weights, power: gradients, "groups": lambda: groups}
    scores = unit_criteria.unit_taylor(evidence(weights, masks, **known))
    assert scores["a"].tolist() == [6**2, 15**2, 6**2, 15**2]


def test_units_of_different_layers_are_compared_by_what_they_cost():
    """Without a division by the mean of each layer: all of the cheaper layer goes but its best unit."""
    weights = {"large": rows(1, 2, 3), "small": rows(1, 2, 3)}
    slopes = {"large": np.array([[5.0, 6.0, 7.0]]), "small": np.array([[0.1, 0.3, 0.2]])}
    model = coupled({name: {name: [0, 1, 2]} for name in weights})
    model = model._replace(row_slopes=lambda weights, masks: slopes)
    after = pruned(weights, model=model, criterion="unit-fisher", scope="global", rate=2 / 6)
    assert left(after) == {"large": [0, 1, 2], "small": [1]}


def rows(*lengths):
    """Return a layer (1, out, 1) of one network whose rows have these lengths."""
    return np.array(lengths, np.float32).reshape(1, -1, 1)


def left(masks):
    """Return the rows that survive, which must have all of their weights; the others must have none."""
    found = {name: mask[0].reshape(mask.shape[1], -1) for name, mask in masks.items()}
    assert all((mask.any(1) == mask.all(1)).all() for mask in found.values())
    return {name: np.flatnonzero(mask.all(1)).tolist() for name, mask in found.items()}


def test_rows_of_a_unit_go_together():
    """Rows i and i + 2 of `pairs` are a unit; `first` and `second` share three units, one not in `second`."""
    weights = {
        "pairs": rows(9, 1, 2, 8),  # pairs 0: mean 5.5; 1: mean 4.5
        "first": rows(1, 3, 5),  # mean 3
        "second": rows(7, 1, 0.5),  # unit 2; unit 0 (mean 4); a row that stays
        "output": rows(0.1, 0.2),
    }
    groups = {
        "a": {"pairs": [0, 1, 0, 1]},
        "b": {"first": [0, 1, 2], "second": [2, 0, -1]},  # 0: (1/3 + 1/4) / 2; 1: 1; 2: (5/3 + 7/4) / 2
    }
    after = pruned(weights, model=coupled(groups), criterion="unit-l2", rate=0.5)
    assert left(after) == {"pairs": [0, 2], "first": [2], "second": [0, 2], "output": [0, 1]}


@pytest.mark.parametrize("criterion", ["unit-l2", "filter-l1", "filter-l2", "geometric-median"])
@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_scale_of_a_layers_weights_does_not_matter_in_a_residual_sum(criterion, scope):
    """Rows get longer where channels double; without the scaling, all units added there would stay."""
    rng = np.random.default_rng(0)
    early, late = (rng.normal(size=(1, n, 4, 3, 3)).astype(np.float32) for n in (8, 16))
    model = coupled({"sum": {"early": range(8), "late": range(16)}})
    options = {"model": model, "criterion": criterion, "scope": scope, "rate": 0.5}
    after = pruned({"early": early, "late": late}, **options)
    scaled = pruned({"early": early / 16, "late": late * 4}, **options)
    assert all((after[name] == scaled[name]).all() for name in after)
    assert 2 <= after["early"][0].reshape(8, -1).all(1).sum() <= 6


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_exactly_the_rounded_share_of_the_surviving_units_is_removed_in_every_round(scope):
    rng = np.random.default_rng(0)
    weights = {name: rng.normal(size=(2, n, 3)).astype(np.float32) for name, n in (("a", 40), ("b", 20))}
    groups = {"a": {"a": [*range(20), *range(20)]}, "b": {"b": list(range(20))}}
    masks, units = None, [20, 20]
    for _ in range(8):
        after = pruned(weights, masks, model=coupled(groups), criterion="unit-l2", scope=scope, rate=0.3)
        if masks:
            assert all((masks[name] >= mask).all() for name, mask in after.items())
        masks = after
        counts = np.array([mask.all(2).sum(1) for mask in masks.values()])  # (layers, R)
        np.testing.assert_array_equal(masks["a"][:, :20], masks["a"][:, 20:])
        if scope == "layer":
            units = [count - round(0.3 * count) for count in units]
            np.testing.assert_array_equal(counts.T, [[2 * units[0], units[1]]] * 2)
        else:
            total = sum(units) - int(0.3 * sum(units) + 0.5)
            assert (counts[0] / 2 + counts[1] == total).all()
            units = [total, 0]


def test_global_scope_compares_layers_by_their_means():
    weights = {"large": rows(100, 500, 600), "small": rows(0.7, 1, 1.3)}
    groups = {name: {name: [0, 1, 2]} for name in weights}
    after = pruned(weights, model=coupled(groups), criterion="unit-l2", scope="global", rate=2 / 6)
    assert left(after) == {"large": [1, 2], "small": [1, 2]}  # 0.25 of a mean of 400, and 0.7 of 1


def test_one_unit_stays_or_emptying_the_layer_is_refused_by_name():
    weights = {"a": rows(1, 2), "b": rows(1, 2, 3, 4)}
    options = {"model": coupled({name: {name: range(values.size)} for name, values in weights.items()})}
    options |= {"criterion": "unit-l2", "own": {"a": 1}, "rate": 0.5}
    assert left(pruned(weights, **options)) == {"a": [1], "b": [2, 3]}
    with pytest.raises(InputError, match="would remove all weights of a at a rate of 1:"):
        pruned(weights, **options, empty_layers="refuse")


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_layer_with_few_of_its_groups_units_keeps_one_of_them(scope):
    """Such as the first convolution of a residual network, to which later layers add channels."""
    weights = {"early": rows(1, 2), "late": rows(1, 2, 9, 9, 9, 9)}
    options = {"model": coupled({"sum": {"early": [0, 1], "late": range(6)}}), "criterion": "unit-l2"}
    options |= {"scope": scope, "rate": 0.5}
    assert left(pruned(weights, **options)) == {"early": [1], "late": [1, 4, 5]}
    with pytest.raises(InputError, match=r"would remove all weights of early at a rate of 0\.5"):
        pruned(weights, **options, empty_layers="refuse")
    assert left(pruned(weights, **options | {"rate": 1.0})) == {"early": [1], "late": [1, 5]}


def test_a_layer_left_out_protects_its_group():
    weights = {"a": rows(1, 2), "b": rows(1, 2), "c": rows(1, 2, 3, 4), "output": rows(1, 2)}
    groups = {"a": {"a": [0, 1], "b": [0, 1]}, "c": {"c": range(4)}}
    options = {"model": coupled(groups, {"c": "bn"}), "criterion": "unit-l2", "rate": 0.5}
    kept = {"a": [0, 1], "b": [0, 1], "c": [2, 3], "output": [0, 1]}
    assert left(pruned(weights, **options, own={"b": 0, "output": 0})) == kept
    masks = {name: np.ones(values.shape, bool) for name, values in weights.items()}
    weights |= {"bn.weight": np.array([[4, 3, 2, 1]], np.float32)}
    options |= {"criterion": "batchnorm-scale"}  # `a` and `b` have no norm, and need none
    assert left(pruned(weights, masks, **options, own={"b": 0}))["c"] == [0, 1]
    with pytest.raises(InputError, match=r"units go together: a=0\.1, b=0\.2"):
        pruned(weights, masks, **options, own={"a": 0.1, "b": 0.2})


def test_filters_are_ranked_and_fully_connected_units_stay():
    weights = {"conv": FILTERS[None], "fc": UNITS[None], "output": UNITS[None]}
    groups = {"conv": {"conv": range(4)}, "fc": {"fc": range(3)}}
    after = pruned(weights, model=coupled(groups), criterion="filter-l1", rate=0.25)
    assert left(after) == {"conv": [0, 1, 2], "fc": [0, 1, 2], "output": [0, 1, 2]}
    with pytest.raises(InputError, match="filter-l1 finds no units in fc"):
        pruned({"fc": UNITS[None]}, model=coupled({"fc": {"fc": range(3)}}), criterion="filter-l1")


def slopes_of_rows(weights, masks):
    return {name: values.reshape(1, len(values), -1).sum(2) for name, values in weights.items()}


@pytest.mark.parametrize("criterion", ["magnitude", "random", *UNIT_CRITERIA])
def test_replicates_do_not_depend_on_each_other(criterion):
    rng = np.random.default_rng(0)
    weights = {"a": rng.normal(size=(3, 20, 2, 3, 3)).astype(np.float32)}
    weights["bn.weight"] = rng.normal(size=(3, 20)).astype(np.float32)
    model = coupled({"a": {"a": range(20)}}, {"a": "bn"})
    model = model._replace(gradients=lambda weights, masks, power: weights, row_slopes=slopes_of_rows)
    masks = {"a": np.ones(weights["a"].shape, bool)}
    together = pruned(weights, masks, model=model, criterion=criterion, rate=0.5)["a"]
    one = {name: values[:1] for name, values in weights.items()}
    alone = pruned(one, {"a": masks["a"][:1]}, model=model, criterion=criterion, rate=0.5)["a"]
    np.testing.assert_array_equal(together[:1], alone)
    if criterion in UNIT_CRITERIA:
        assert (together.reshape(3, 20, -1).all(2).sum(1) == 10).all()
