"""Criteria of single weights, with scores worked out by hand."""

import numpy as np
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.pruning import criteria, queries
from tests.toy_pruning import coupled, evidence, pruned

# Two classes, and one image (1, 2) of the second. Both logits are equal, so that the gradient of the loss is
# (softmax - label) x image = (0.5, -0.5) x (1, 2).
LINEAR = {"weight": np.array([[2, -1], [0, 0]], np.float32), "bias": np.zeros(2, np.float32)}
GRADIENT = [[0.5, 1.0], [-0.5, -1.0]]


class OneLayer(nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1))


def linear_gradients(masks, repeat=1):
    batch = torch.tensor([1.0, 2.0]).view(1, 1, 1, 2).repeat(repeat, 1, 1, 1), torch.ones(repeat).long()
    return lambda weights, power=1: queries.gradients(OneLayer(2, 2), batch, weights, masks, power)


def test_magnitude():
    scores = criteria.magnitude(evidence({"a": np.array([[-3, 1], [0, 2]], np.float32)}))
    assert scores["a"].tolist() == [[3, 1], [0, 2]]
    assert scores["a"].dtype == np.float64


def test_lamp_divides_a_square_by_the_squares_that_are_not_smaller():
    scores = criteria.lamp(evidence({"a": np.array([[-3, 1], [0, 2]], np.float32)}))
    np.testing.assert_allclose(scores["a"], [[1, 1 / 14], [0, 4 / 13]], rtol=1e-12)


def test_lamp_does_not_count_what_the_mask_has_removed():
    weights = {"a": np.array([1, 5, 2], np.float32)}
    scores = criteria.lamp(evidence(weights, {"a": np.array([True, False, True])}))
    np.testing.assert_allclose(scores["a"][[0, 2]], [1 / 5, 1], rtol=1e-12)


def test_lamp_of_equal_weights_falls_from_the_last_and_of_zeros_is_zero():
    weights = {"equal": np.array([2, -2, 2], np.float32), "gone": np.zeros(2, np.float32)}
    scores = criteria.lamp(evidence(weights))
    np.testing.assert_allclose(scores["equal"], [1 / 3, 1 / 2, 1], rtol=1e-12)
    assert scores["gone"].tolist() == [0, 0]


def test_lamp_does_not_see_the_scale_of_a_layer():
    """Of 1, 2 and 10, 20, 30 the scores are 1/5, 1 and 1/14, 4/13, 1: the 10 goes first, then the 1."""
    weights = {"a": np.array([[1, 2]], np.float32), "b": np.array([[10, 20, 30]], np.float32)}
    first = pruned(weights, criterion="lamp", scope="global", rate=0.2)
    second = pruned(weights, criterion="lamp", scope="global", rate=0.4)
    assert [mask.tolist() for mask in first.values()] == [[[True, True]], [[False, True, True]]]
    assert [mask.tolist() for mask in second.values()] == [[[False, True]], [[False, True, True]]]


def test_weights_that_are_not_numbers_are_no_scores_of_lamp():
    with pytest.raises(InputError, match="scores of a are not numbers"):
        pruned({"a": np.array([[1, np.nan]], np.float32)}, criterion="lamp", scope="global")


def test_movement_is_away_from_zero():
    before = {"a": np.array([1, -3, 0, 2], np.float32)}
    scores = criteria.movement(evidence({"a": np.array([3, -1, -1, 2], np.float32)}, initial=lambda: before))
    assert scores["a"].tolist() == [4, -4, 0.5, 0]


def test_movement_is_the_sum_over_the_steps_of_gradient_descent():
    """On a parabola with its minimum at 1: the closed form against the definition, in small steps."""
    weight, total, lr = -0.5, 0.0, 1e-4
    for _ in range(20_000):
        slope = 2 * (weight - 1)
        total -= weight * slope
        weight -= lr * slope
    given = evidence({"a": np.array([weight])}, initial=lambda: {"a": np.array([-0.5])})
    assert criteria.movement(given)["a"][0] == pytest.approx(lr * total, rel=1e-3)


@pytest.mark.parametrize("repeat", [1, queries.BATCH + 1])
def test_gradients_are_those_of_the_mean_loss_in_any_number_of_batches(repeat):
    masks = {"weight": np.ones((2, 2), bool)}
    gradients = linear_gradients(masks, repeat)(LINEAR)
    np.testing.assert_allclose(gradients["weight"], GRADIENT, rtol=1e-6)
    assert list(gradients) == ["weight"]


def test_gradients_are_taken_under_the_masks():
    weights = LINEAR | {"weight": np.array([[2, -1], [0, 50]], np.float32)}
    masks = {"weight": np.array([[True, True], [True, False]])}
    np.testing.assert_allclose(linear_gradients(masks)(weights)["weight"], GRADIENT, rtol=1e-6)
    assert weights["weight"][1, 1] == 50


def test_gradients_are_taken_in_evaluation_mode():
    """No dropout, and the running statistics of a norm: (x - 1) / 2 turns (3, 1) into (1, 0)."""
    norm = nn.BatchNorm1d(2, eps=0)
    model = nn.Sequential(nn.Flatten(), norm, nn.Dropout(0.9), nn.Linear(2, 2, bias=False))
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    state |= {"1.running_mean": np.ones(2, np.float32), "1.running_var": np.full(2, 4, np.float32)}
    state["3.weight"] = np.zeros((2, 2), np.float32)
    batch = torch.tensor([[[[3.0, 1.0]]]]), torch.tensor([0])
    before = {name: values.copy() for name, values in state.items()}
    gradients = queries.gradients(model, batch, state, {"3.weight": np.ones((2, 2), bool)}, 1)
    assert gradients["3.weight"].tolist() == [[-0.5, 0], [0.5, 0]]
    for name, values in before.items():
        np.testing.assert_array_equal(state[name], values)


def test_taylor_is_weight_times_gradient_after_training():
    masks = {"weight": np.ones((2, 2), bool)}
    scores = criteria.taylor(evidence(LINEAR, masks, gradients=linear_gradients(masks)))
    np.testing.assert_allclose(scores["weight"], [[1, 1], [0, 0]], rtol=1e-6)


def test_fisher_is_half_the_square_of_weight_times_gradient_for_one_image():
    masks = {"weight": np.ones((2, 2), bool)}
    scores = criteria.fisher(evidence(LINEAR, masks, gradients=linear_gradients(masks)))
    np.testing.assert_allclose(scores["weight"], [[0.5, 0.5], [0, 0]], rtol=1e-6)


def test_fisher_squares_the_gradients_of_single_images():
    """Two images with opposite labels: the gradient of their mean loss is zero, that of each is not."""
    batch = torch.tensor([1.0, 2.0]).view(1, 1, 1, 2).repeat(2, 1, 1, 1), torch.tensor([0, 1])
    masks = {"weight": np.ones((2, 2), bool)}

    def both(weights, power):
        return queries.gradients(OneLayer(2, 2), batch, weights, masks, power)

    assert (both(LINEAR, 1)["weight"] == 0).all()
    np.testing.assert_allclose(both(LINEAR, 2)["weight"], np.square(GRADIENT), rtol=1e-6)
    scores = criteria.fisher(evidence(LINEAR, masks, gradients=both))
    np.testing.assert_allclose(scores["weight"], [[0.5, 0.5], [0, 0]], rtol=1e-6)


def test_the_slope_of_a_row_is_that_of_the_loss_in_a_factor_of_the_row():
    """Of single images under the mask: by the definition of a derivative, in float64."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).double()
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    masks = {name: np.ones(state[name].shape, bool) for name in ("0.weight", "3.weight")}
    masks["0.weight"][1, 0, 0, 0] = False
    batch = torch.randn(4, 1, 3, 3, dtype=torch.float64), torch.tensor([0, 1, 2, 1])
    slopes = queries.row_slopes(model, batch, state, masks)
    assert {name: found.shape for name, found in slopes.items()} == {"0.weight": (4, 2), "3.weight": (4, 3)}

    def losses(name, row, factor):
        changed = {key: torch.from_numpy(values * masks.get(key, 1)) for key, values in state.items()}
        changed[name][row] *= factor
        logits = torch.func.functional_call(model, changed, (batch[0],))
        return nn.functional.cross_entropy(logits, batch[1], reduction="none").detach().numpy()

    for name, found in slopes.items():
        for row in range(found.shape[1]):
            slope = (losses(name, row, 1 + 1e-6) - losses(name, row, 1 - 1e-6)) / 2e-6
            np.testing.assert_allclose(found[:, row], slope, rtol=1e-6, atol=1e-9)


def test_snip_is_weight_times_gradient_before_training():
    initial = LINEAR | {"weight": np.array([[4, -2], [0, 7]], np.float32)}
    masks = {"weight": np.array([[True, True], [True, False]])}
    given = evidence(LINEAR, masks, initial=lambda: initial, gradients=linear_gradients(masks))
    scores = criteria.snip(given)["weight"]
    np.testing.assert_allclose(scores[masks["weight"]], [2, 2, 0], rtol=1e-6)


def two_layers():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 2), nn.ReLU(), nn.Dropout(0.5), nn.Linear(2, 1))
    first = np.array([[-1, 2], [3, 4]], np.float32)
    weights = {"1.weight": first, "4.weight": np.array([[5, -6]], np.float32)}
    return model, weights | {"1.bias": np.zeros(2, np.float32), "4.bias": np.zeros(1, np.float32)}


def flow(model, weights, masks):
    return queries.synaptic_flow(model, (1, 1, 2), weights, masks)


def test_synflow_of_two_linear_layers():
    """A weight's score is the sum, over the paths through it, of the products of absolute weights."""
    model, weights = two_layers()
    masks = {name: np.ones(weights[name].shape, bool) for name in ("1.weight", "4.weight")}
    answers = {"initial": lambda: weights, "synaptic_flow": lambda *given: flow(model, *given)}
    scores = criteria.synflow(evidence(weights, masks, **answers))
    assert scores["1.weight"].tolist() == [[1 * 5, 2 * 5], [3 * 6, 4 * 6]]
    assert scores["4.weight"].tolist() == [[(1 + 2) * 5, (3 + 4) * 6]]


def test_synflow_in_small_steps_leaves_a_path():
    """By the first scores, 5, 20, 15, 15 and 25, 30, the two weights left would not be on one path."""
    model, weights = two_layers()
    layers = {"1.weight": [[1, 4], [3, 3]], "4.weight": [[5, 5]]}
    weights |= {name: np.array(values, np.float32) for name, values in layers.items()}
    masks = {name: np.ones((1, *weights[name].shape), bool) for name in layers}
    stacked = {name: values[None] for name, values in weights.items()}
    known = coupled({})._replace(synaptic_flow=lambda *given: flow(model, *given))
    rules = {"criterion": "synflow", "scope": "global", "rate": 4 / 6}
    after = pruned(stacked, masks, initial=stacked, model=known, **rules)
    assert after["1.weight"].tolist() == [[[False, True], [False, False]]]
    assert after["4.weight"].tolist() == [[[True, False]]]


def test_synflow_is_conserved_and_zero_where_pruned():
    model, weights = two_layers()
    masks = {"1.weight": np.array([[True, False], [True, True]]), "4.weight": np.ones((1, 2), bool)}
    scores = flow(model, weights, masks)
    assert scores["1.weight"].tolist() == [[5, 0], [18, 24]]
    assert scores["4.weight"].tolist() == [[5, 42]]
    assert scores["1.weight"].sum() == scores["4.weight"].sum()


def test_a_norm_before_training_multiplies_the_flow_by_its_absolute_scale():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 1, bias=False), nn.BatchNorm1d(1, eps=0))
    state = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    state |= {"1.weight": np.array([[1, -2]], np.float32), "2.weight": np.array([-3], np.float32)}
    assert flow(model, state, {"1.weight": np.ones((1, 2), bool)})["1.weight"].tolist() == [[3, 6]]


def test_synflow_of_a_deep_network_does_not_overflow():
    model = nn.Sequential(nn.Flatten(), *(nn.Linear(2, 2, bias=False) for _ in range(30)))
    weights = {f"{number}.weight": np.full((2, 2), -50, np.float32) for number in range(1, 31)}
    scores = flow(model, weights, {name: np.ones((2, 2), bool) for name in weights})
    np.testing.assert_allclose(scores["1.weight"], 50.0**30 * 2.0**29)


def test_a_criterion_asks_only_for_the_evidence_that_it_needs():
    """Magnitude and random need neither a model nor initial weights, movement only the latter."""
    weights = {"a": np.array([[1, 2, 3, 4, 5]], np.float32)}
    assert pruned(weights, criterion="magnitude")["a"].sum() == 4
    assert pruned(weights, criterion="random")["a"].sum() == 4
    after = pruned(weights, initial={"a": np.array([[0, 0, 0, 0, 9]], np.float32)}, criterion="movement")
    assert after["a"].tolist() == [[True, True, True, True, False]]
    for criterion in ("movement", "taylor", "fisher", "snip", "synflow"):
        with pytest.raises(AssertionError, match="does not need"):
            pruned(weights, criterion=criterion)
