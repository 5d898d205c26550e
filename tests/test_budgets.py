"""Budgets: the largest network within a share of the dense network's costs, and round numbers of units."""

import numpy as np
import pytest
import torch
from torch import nn

import prunet
from bench.user_modules.attention import VisionTransformer
from prunet.base.errors import InputError
from prunet.cells.masks import density
from prunet.models.light_cnn import MaxFeatureMap
from prunet.pruning import budgets
from prunet.pruning.budgets import COSTS, Budget
from prunet.pruning.removal import round_up
from prunet.structure import shares
from prunet.structure.finding import find_units
from prunet.structure.masks import coupled
from prunet.structure.rounding import multiples
from tests.toy_pruning import coupled as toy
from tests.toy_pruning import pruned

WEIGHTS = {
    name: np.random.default_rng(number).normal(size=(2, *size)).astype(np.float32)
    for number, (name, size) in enumerate({"a": (10, 6), "b": (16, 10), "c": (3, 16)}.items())
}
GROUPS = toy({"a": {"a": range(10)}, "b": {"b": range(16)}})


def products(masks):
    """Return the share of the multiply-adds of three linear layers that is left."""
    a, b = (int(masks[name].any(1).sum()) for name in "ab")
    return {"macs": (6 * a + a * b + 3 * b) / (6 * 10 + 10 * 16 + 3 * 16)}


def budget(share, shares=products):
    return Budget({"macs": share}, shares)


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.25])
def test_a_network_is_within_its_budget_and_the_next_larger_one_is_not(scope, share):
    options = {"criterion": "unit-l2", "scope": scope, "model": GROUPS}
    found = pruned(WEIGHTS, budget=budget(share), **options)
    for replicate in range(2):
        own = {name: mask[replicate] for name, mask in found.items()}
        assert products(own)["macs"] <= share
        larger = [
            {name: mask[replicate] for name, mask in pruned(WEIGHTS, rate=rate, **options).items()}
            for rate in np.arange(0, 1, 0.01)
        ]
        larger = [masks for masks in larger if rows(masks) > rows(own)]
        assert larger
        assert all(products(masks)["macs"] > share for masks in larger)


def rows(masks):
    return sum(int(masks[name].any(1).sum()) for name in "ab")


def test_every_cost_of_a_budget_holds():
    both = Budget(
        {"macs": 0.9, "parameters": 0.3}, lambda masks: products(masks) | {"parameters": density(masks)}
    )
    one = {name: values[:1] for name, values in WEIGHTS.items()}
    found = pruned(one, budget=both, criterion="unit-l2", model=GROUPS)
    assert density(found) <= 0.3 < density(pruned(one, budget=budget(0.9), criterion="unit-l2", model=GROUPS))


def test_a_budget_of_single_weights_is_reached_to_the_weight():
    one = {name: values[:1] for name, values in WEIGHTS.items()}
    count = Budget({"parameters": 0.3}, lambda masks: {"parameters": density(masks)})
    found = pruned(one, budget=count, scope="global")
    assert sum(int(mask.sum()) for mask in found.values()) == int(0.3 * (60 + 160 + 48))


def test_layers_with_their_own_rate_lose_that_and_the_others_what_the_budget_needs():
    one = {name: values[:1] for name, values in WEIGHTS.items()}
    found = pruned(one, budget=budget(0.5), criterion="unit-l2", model=GROUPS, own={"a": 0.0})
    assert found["a"].all()
    assert products({name: mask[0] for name, mask in found.items()})["macs"] <= 0.5


def test_each_network_reaches_its_budget_by_its_own_rates_of_layers():
    options = {"criterion": "unit-l2", "model": GROUPS, "budget": budget(0.5)}
    found = pruned(WEIGHTS, allocate=lambda replicate: lambda rate: {"ab"[replicate]: rate}, **options)
    assert found["a"].any(2).sum(1).tolist() == [3, 10]  # 6 a + a b + 3 b is at most 134
    assert found["b"].any(2).sum(1).tolist() == [16, 5]


def test_a_budget_that_is_met_removes_nothing_and_one_below_one_unit_a_layer_is_refused():
    assert all(
        mask.all() for mask in pruned(WEIGHTS, budget=budget(1.0), criterion="unit-l2", model=GROUPS).values()
    )
    least = (6 + 1 + 3) / 268
    with pytest.raises(
        InputError, match=rf"^target\.macs is 0\.03, and {least:.4g} is left when every layer"
    ):
        pruned(WEIGHTS, budget=budget(0.03), criterion="unit-l2", model=GROUPS)
    reached = pruned(WEIGHTS, budget=budget(least), criterion="unit-l2", model=GROUPS)
    assert reached["a"].any(2).sum(1).tolist() == reached["b"].any(2).sum(1).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("target", "criterion", "round_to", "message"),
    [
        ({"flops": 0.5}, "unit-l2", 1, "'flops', which is not a cost; choose from macs, parameters"),
        ({"macs": 1.5}, "unit-l2", 1, "target.macs is 1.5; give a share between 0 and 1"),
        ({"macs": 0}, "unit-l2", 1, "target.macs is 0; give"),
        ({"macs": 0.5}, "magnitude", 1, "target.macs does not change when criterion magnitude"),
        ({}, "magnitude", 8, "round_to is 8, and criterion magnitude removes single weights"),
        ({}, "unit-l2", 0, "round_to is 0; give a whole number from 1"),
    ],
)
def test_a_target_without_meaning_is_refused(target, criterion, round_to, message):
    with pytest.raises(InputError, match=message):
        budgets.check(target, criterion, round_to)
    budgets.check({"parameters": 0.5}, "magnitude", 1)
    budgets.check(dict.fromkeys(COSTS, 0.5), "unit-l2", 8)


def test_the_best_of_what_was_removed_is_restored_up_to_a_multiple():
    scores = np.array([5.0, 1, 4, 2, 3, 9, 8, 7])
    before, after = np.ones(8, bool), scores >= 7
    before[1] = False
    both = [(np.arange(5), 2), (np.arange(5, 8), 2)]
    assert np.flatnonzero(round_up(scores, before, after, both)).tolist() == [5, 6, 7]  # 0, and 4 of 3
    one = [(np.arange(8), 4)]
    assert np.flatnonzero(round_up(scores, before, after, one)).tolist() == [0, 5, 6, 7]
    assert round_up(scores, before, after, [(np.arange(8), 8)]).tolist() == before.tolist()
    assert round_up(scores, before, after, [(np.arange(8), 3)]).tolist() == after.tolist()


def found_multiples(model, example, round_to):
    units = find_units(model, example)
    found = multiples(units, coupled(units)[0], round_to)
    return {name: [(len(own), number) for own, number in sets] for name, sets in found.items()}


def test_channels_are_rounded_and_heads_count_with_their_width():
    vision = found_multiples(VisionTransformer(), torch.zeros(2, 3, 16, 16), 16)
    assert vision == {"attend.in_proj_weight": [(4, 2)], "mlp.0.weight": [(128, 16)]}
    maps = nn.Sequential(nn.Conv2d(1, 12, 3), MaxFeatureMap(), nn.Conv2d(6, 4, 3), nn.Conv2d(4, 2, 3))
    assert found_multiples(maps, torch.zeros(2, 1, 9, 9), 4) == {"0.weight": [(6, 4)], "2.weight": [(4, 4)]}


def images_to_images():
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.ConvTranspose2d(32, 24, 3), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(24, 12, 1), nn.Conv2d(12, 1, 1)), torch.zeros(2, 1, 8, 8)


def macs(model):
    a, b, c = (model[number].out_channels for number in (0, 3, 5))
    return 36 * (9 * a + 9 * a * b) + 64 * (b * c + c)


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_the_smaller_model_is_within_its_target(scope):
    model, images = images_to_images()
    options = {"criterion": "unit-l2", "scope": scope}
    smaller = prunet.shrink(model, images, prunet.prune(model, images, target={"macs": 0.5}, **options))
    assert 0.45 < macs(smaller) / macs(model) <= 0.5
    masks = prunet.prune(model, images, target={"macs": 0.5}, round_to=8, **options)
    smaller = prunet.shrink(model, images, masks)
    assert macs(smaller) / macs(model) <= 0.5
    widths = [smaller[number].out_channels for number in (0, 3, 5)]
    assert all(width % 8 == 0 for width in widths[:2])
    assert widths[2] in (8, 12)
    further = prunet.prune(model, images, target={"bytes": 0.25}, masks=masks, **options)
    assert all((further[name] <= mask).all() for name, mask in masks.items())
    smallest = prunet.shrink(model, images, further)
    sizes = [sum(value.numel() for value in net.state_dict().values()) for net in (smallest, model)]
    assert 0.2 < sizes[0] / sizes[1] <= 0.25


def test_single_weights_of_a_model_have_a_target_too():
    model, images = images_to_images()
    masks = prunet.prune(model, images, target={"parameters": 0.1})
    whole = 9 * 32 + 9 * 32 * 24 + 24 * 12 + 12
    assert sum(int(mask.sum()) for mask in masks.values()) == pytest.approx(0.1 * whole, abs=2)
    with pytest.raises(InputError, match=r"target\.bytes does not change"):
        prunet.prune(model, images, target={"bytes": 0.1})


def test_time_is_that_of_the_smaller_network_by_that_of_the_dense_one():
    torch.set_num_threads(1)  # several would wait for one another on a busy machine
    wide, narrow = (nn.Sequential(nn.Linear(8, width), nn.Linear(width, 8)) for width in (40_000, 40))
    share = shares.time_share(wide, narrow, [torch.zeros(64, 8)])
    assert share < 0.7
    assert shares.time_share(narrow, wide, [torch.zeros(64, 8)]) > 1 / 0.7
