"""Schemes: their tickets, and mask updates on layers of six weights, worked out by hand."""

import itertools
from contextlib import nullcontext
from importlib import import_module

import numpy as np
import pytest
import torch

from prunet.models.built_in import prunable
from prunet.retraining import scheme
from prunet.retraining.scheme import Sources
from prunet.structure.finding import find_units
from prunet.structure.masks import removed_rows, unit_masks
from prunet.training.plan import MaskUpdate, TrainingPlan
from tests.toy_networks import Net

SCHEMES = {name: scheme.load(name) for name in scheme.names()}
SPARSE = ("static", "set", "rigl", "sparse-momentum")
UPDATES = {
    name: import_module(f"prunet.schemes.{name}").update
    for name in ("gradual", "early-bird", "set", "rigl", "sparse-momentum")
}
MASK = np.zeros((2, 4, 5), bool)
MASK[0, 0] = MASK[1, :, 1] = True
DYNAMIC = {"densities": "uniform", "begin": 0.0, "end": 0.75, "every": 10, "drop": 0.3}
VALUES = np.arange(1, 41, dtype=np.float32).reshape(2, 4, 5)


def sources(draws=1, seed=0, mask=MASK):
    return Sources(
        initial=lambda: {"w": VALUES, "bias": np.array([[7.0], [8.0]])},
        early=lambda: {"w": VALUES + 0.5, "bias": np.ones((2, 1))},
        trained=lambda: {"w": -VALUES, "bias": np.zeros((2, 1))},
        fresh=lambda: {"w": np.repeat(VALUES, draws, 0) * 100, "bias": np.zeros((2 * draws, 1))},
        masks={"w": mask},
        units=None,
        rng=lambda replicate: np.random.default_rng([seed, replicate]),
        rewind=12,
        dynamic=DYNAMIC,
    )


def ticket(name, *arguments, **options):
    return SCHEMES[name].ticket(sources(*arguments, **options))


def schedule(name, **differs):
    times = {key: DYNAMIC[key] for key in ("begin", "end", "every", "drop")}
    same = {"whole": (), "dense_first": False, "settling": False}
    return same | {"update": UPDATES[name], **times} | differs


def test_the_schemes_are_the_files_of_their_folder():
    assert set(SCHEMES) == {
        *("original", "rewind", "trained", "lr-rewind", "fine-tune", "random", "shuffled", "random-mask"),
        *("gradual", "early-bird", *SPARSE),
    }


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_is_described_in_one_line(name):
    summary = scheme.summary(name)
    assert summary.endswith(".")
    assert len(summary) <= 72
    assert SCHEMES[name].label


def test_schemes_look_different_in_the_figures():
    looks = [(found.color, found.marker, str(found.linestyle)) for found in SCHEMES.values()]
    assert all(len(set(part)) == len(SCHEMES) for part in zip(*looks, strict=True))
    assert len({found.label for found in SCHEMES.values()}) == len(SCHEMES)


@pytest.mark.parametrize("name", SCHEMES)
def test_dense_at_round_0_means_that_nothing_changes_at_density_1(name):
    """That is: original values under whole masks, no other plan, and no layer whose mask changes."""
    dense = np.ones_like(MASK)
    weights, masks, plan = ticket(name, mask=dense)
    changing = plan.mask_schedule and set(masks) - set(plan.mask_schedule.whole)
    same = (
        all(np.array_equal(weights[tensor], values) for tensor, values in sources().initial().items())
        and np.array_equal(masks["w"], dense)
        and plan._replace(mask_schedule=None) == TrainingPlan()
        and not changing
    )
    assert same == SCHEMES[name].dense_at_round_0


@pytest.mark.parametrize("name", SCHEMES)
def test_keeps_mask_means_that_training_ends_under_the_rounds_mask(name):
    found = ticket(name)
    own = found.masks["w"] is MASK or np.array_equal(found.masks["w"], MASK)
    assert SCHEMES[name].keeps_mask == (own and found.plan.mask_schedule is None)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize(("source", "flag"), [("fresh", "redraws"), ("dynamic", "dynamic")])
def test_a_scheme_says_whether_it_redraws_values_and_reads_the_block_dynamic(name, source, flag):
    """Without what it needs, it cannot make its ticket."""
    fails = pytest.raises(TypeError, match="'NoneType' object is not")
    with fails if getattr(SCHEMES[name], flag) else nullcontext():
        SCHEMES[name].ticket(sources()._replace(**{source: None}))


@pytest.mark.parametrize(
    ("name", "values", "plan"),
    [
        ("original", VALUES, {}),
        ("rewind", VALUES + 0.5, {"first": 12}),
        ("trained", -VALUES, {}),
        ("lr-rewind", -VALUES, {"first": 12}),
        ("fine-tune", -VALUES, {"last_rate": True}),
        ("random", VALUES * 100, {}),
        ("gradual", VALUES, {"mask_schedule": schedule("gradual", dense_first=True)}),
        (
            "early-bird",
            VALUES,
            {"mask_schedule": schedule("early-bird", dense_first=True, settling=True)},
        ),
    ],
)
def test_start_values_and_plans_under_the_rounds_mask(name, values, plan):
    found = ticket(name)
    np.testing.assert_array_equal(found.weights["w"], values)
    np.testing.assert_array_equal(found.masks["w"], MASK)
    assert _plain(found.plan) == TrainingPlan()._asdict() | plan


def _plain(plan):
    schedule = plan.mask_schedule
    return plan._asdict() | {"mask_schedule": schedule and schedule._asdict()}


def test_lr_rewinding_to_step_0_is_scheme_trained():
    rewound = SCHEMES["lr-rewind"].ticket(sources()._replace(rewind=0))
    trained = ticket("trained")
    np.testing.assert_array_equal(rewound.weights["w"], trained.weights["w"])
    assert rewound.plan == trained.plan


def test_several_random_draws_train_under_the_mask_of_their_replicate():
    weights, masks, _ = ticket("random", draws=3)
    assert weights["w"].shape == masks["w"].shape == (6, 4, 5)
    for network in range(6):
        np.testing.assert_array_equal(masks["w"][network], MASK[network // 3])


def test_a_shuffled_ticket_keeps_its_values_and_moves_them():
    weights, masks, _ = ticket("shuffled")
    for replicate in range(2):
        kept = sorted(weights["w"][replicate][masks["w"][replicate]])
        assert kept == sorted(VALUES[replicate][MASK[replicate]])
        assert not np.array_equal(masks["w"][replicate], MASK[replicate])
    np.testing.assert_array_equal(weights["bias"], [[7], [8]])
    assert VALUES[0, 0, 0] == 1  # the source is not changed


@pytest.fixture(scope="module")
def units():
    """Units of a network with a residual sum, max-feature-maps, norms, and a layer behind a flattening."""
    return find_units(Net(norms=True), torch.zeros(2, 2, 8, 8))


def without_units(units, seed):
    """Return masks (1, *shape) without every second unit of each group, at random."""
    rng = np.random.default_rng(seed)
    gone = [rng.permutation(np.arange(group.units) % 2 == 1) for group in units.groups]
    lost = unit_masks(units, gone)
    masks = {name: np.ones((1, *weight.shape), bool) for name, weight in Net(norms=True).named_parameters()}
    masks = {name: masks[name] for name in prunable(Net(norms=True))}
    return {name: mask & lost[name].numpy() if name in lost else mask for name, mask in masks.items()}


@pytest.mark.parametrize("name", ["shuffled", "random-mask"])
@pytest.mark.parametrize("seed", range(5))
def test_controls_of_whole_units_remove_as_many_whole_units_of_each_group(units, name, seed):
    rng, before = np.random.default_rng(seed), without_units(units, seed)
    values = {layer: rng.normal(size=mask.shape).astype(np.float32) for layer, mask in before.items()}
    values["bias"] = np.ones((1, 3), np.float32)
    given = sources(seed=seed)._replace(masks=before, initial=lambda: values, units=lambda: units)
    weights, masks, plan = SCHEMES[name].ticket(given)
    one, other = (
        removed_rows(units, {layer: mask[0] for layer, mask in found.items()}) for found in (before, masks)
    )
    assert [gone.sum() for gone in one] == [gone.sum() for gone in other]
    assert sum(gone.sum() for gone in one) == 5
    assert any((gone != moved).any() for gone, moved in zip(one, other, strict=True))
    whole = unit_masks(units, other)
    assert all((mask == whole[layer].numpy()).all() for layer, mask in masks.items() if layer in whole)
    for layer, mask in masks.items():
        assert mask.sum() == before[layer].sum()
        same = (
            weights[layer] is values[layer]
            if name == "random-mask"
            else sorted(weights[layer][mask]) == sorted(values[layer][before[layer]])
        )
        assert same
    assert weights["bias"] is values["bias"]
    assert plan == TrainingPlan()


@pytest.mark.parametrize("name", ["random-mask", *SPARSE])
def test_a_random_mask_keeps_the_counts_of_the_round_and_the_original_values(name):
    weights, masks, plan = ticket(name)
    np.testing.assert_array_equal(weights["w"], VALUES)
    assert masks["w"].sum((1, 2)).tolist() == MASK.sum((1, 2)).tolist() == [5, 4]
    assert not np.array_equal(masks["w"], MASK)
    assert _plain(plan)["mask_schedule"] == (schedule(name) if name in UPDATES else None)


@pytest.mark.parametrize("name", SPARSE)
def test_sparse_training_leaves_the_layers_whole_that_the_round_does(name):
    """The others have as many weights as in the round, drawn as if the whole layers were not there."""
    masks = {"first": np.ones((2, 3, 5), bool), "w": MASK}
    found = SCHEMES[name].ticket(sources()._replace(masks=masks))
    assert found.masks["first"].all()
    np.testing.assert_array_equal(found.masks["w"], ticket(name).masks["w"])
    if name != "static":
        assert found.plan.mask_schedule.whole == ("first",)


def test_sparse_training_has_layer_densities_of_its_own():
    """Layers of 4 x 5 and 2 x 2 weights, 12 together: as 9 to 4 (8.3 and 3.7), or as 20 to 4."""
    masks = {"large": np.ones((1, 4, 5), bool), "small": np.ones((1, 2, 2), bool)}
    masks["large"][0].flat[:11] = masks["small"][0, 0, 0] = False
    given = sources()._replace(masks=masks)
    for densities, counts in (("erdos-renyi-kernel", [8, 4]), ("uniform", [10, 2])):
        drawn = SCHEMES["static"].ticket(given._replace(dynamic={"densities": densities})).masks
        assert [int(mask.sum()) for mask in drawn.values()] == counts


@pytest.mark.parametrize("name", ["shuffled", "random-mask", "static"])
def test_controls_are_drawn_from_their_seed(name):
    first, again, other = (ticket(name, seed=seed).masks["w"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    orders = [mask.ravel().argsort(kind="stable") for mask in first]
    assert not np.array_equal(*orders)


WEIGHTS = np.array([1, -2, 0, 3, 0, 4], np.float32)
ALIVE = WEIGHTS != 0


def moment(weights=None, **known):
    """Return the moment of an update; the masks are where the weights are not zero."""
    weights = weights or {"w": WEIGHTS}
    zeros = {name: np.zeros_like(values) for name, values in weights.items()}
    masks = {name: values != 0 for name, values in weights.items()}
    usual = {"progress": 0.0, "drop": 0.5, "targets": {}, "rng": np.random.default_rng(0)}
    usual |= {"weights": weights, "gradients": zeros, "momenta": zeros, "masks": masks}
    return MaskUpdate(**usual | known)


def survivors(mask):
    return np.flatnonzero(mask).tolist()


def test_the_cubic_curve_of_gradual_pruning():
    """8 + 56 (1 - p)^3 weights of 64: 64, 31.625, 15, 8.875, 8."""
    weights = {"w": np.arange(1, 65, dtype=np.float32)}
    for progress, count in ((0, 64), (0.25, 32), (0.5, 15), (0.75, 9), (1, 8)):
        after = UPDATES["gradual"](moment(weights, progress=progress, targets={"w": 8}))
        assert survivors(after["w"]) == list(range(64 - count, 64))


@pytest.mark.parametrize("name", ["gradual", "early-bird"])
def test_gradual_and_early_pruning_give_every_layer_its_own_target_and_regrow_nothing(name):
    weights = {"a": WEIGHTS, "b": WEIGHTS * [1, 1, 1, 1, 1, -9]}
    after = UPDATES[name](moment(weights, progress=1, targets={"a": 1, "b": 3}))
    assert survivors(after["a"]) == [5]
    assert survivors(after["b"]) == [1, 3, 5]


@pytest.mark.parametrize(
    ("gradients", "left"),
    [
        ([5, 1, -7, 9, 6, 9], [2, 3, 4, 5]),  # of the free positions the third and fifth have most gradient
        ([8, 1, -7, 0, 6, 0], [0, 2, 3, 5]),  # a dropped weight may grow again at once
    ],
)
def test_rigl_drops_half_of_four_weights_and_grows_where_gradients_are_largest(gradients, left):
    after = UPDATES["rigl"](moment(gradients={"w": np.array(gradients)}))
    assert survivors(after["w"]) == left


@pytest.mark.parametrize(("progress", "dropped"), [(0, 2), (0.5, 1), (1, 0)])
def test_the_dropped_share_falls_along_a_cosine(progress, dropped):
    """Of four weights 0.5, 0.25 and 0."""
    after = UPDATES["rigl"](moment(progress=progress, gradients={"w": np.array([0, 0, 1, 0, 1, 0])}))
    assert (ALIVE & ~after["w"]).sum() == dropped


class Rigged:
    """A generator with known draws."""

    def random(self, size):
        return np.array([0.1, 0.2, 0.3, 0.99, 0.4, 0.98])[:size]


def test_set_drops_the_smallest_and_grows_at_random():
    assert survivors(UPDATES["set"](moment(rng=Rigged()))["w"]) == [2, 3, 4, 5]
    drawn = {tuple(survivors(UPDATES["set"](moment(rng=np.random.default_rng(n)))["w"])) for n in range(50)}
    assert drawn == {tuple(sorted((3, 5, *pair))) for pair in itertools.combinations((0, 1, 2, 4), 2)}


def test_sparse_momentum_moves_weights_to_the_layer_with_more_momentum():
    """Each layer loses two of four; the mean momenta before that, 5 and 1.5, share four weights 3 to 1."""
    layer = np.array([1, 2, 3, 4, 0, 0, 0, 0], np.float32)
    momenta = {
        "a": np.array([9, 9, 1, -1, 5, 6, 7, -8.0]),  # dropped weights may grow again
        "b": np.array([0, 0, 3, 3, -5, 1, 6, 7.0]),
    }
    after = UPDATES["sparse-momentum"](moment({"a": layer, "b": layer}, momenta=momenta))
    assert survivors(after["a"]) == [0, 1, 2, 3, 7]
    assert survivors(after["b"]) == [2, 3, 7]


def test_sparse_momentum_fills_no_layer_beyond_its_size():
    full = np.array([1, 2, 3, 4], np.float32)
    empty = np.array([1, 2, 3, 4, 0, 0], np.float32)
    momenta = {"full": np.full(4, 9.0), "empty": np.full(6, 0.1)}
    after = UPDATES["sparse-momentum"](moment({"full": full, "empty": empty}, momenta=momenta))
    assert (after["full"].sum(), after["empty"].sum()) == (4, 4)


@pytest.mark.parametrize("name", ["set", "rigl", "sparse-momentum"])
def test_a_layer_keeps_a_weight_whatever_the_share(name):
    after = UPDATES[name](moment(drop=1.0))
    assert after["w"][5]
    assert after["w"].sum() == 4


def test_values_that_are_not_finite_are_noticed():
    assert moment().finite()
    for kind in ("weights", "gradients", "momenta"):
        assert not moment()._replace(**{kind: {"w": WEIGHTS * np.nan}}).finite()
