import pytest
import torch

from prunet.training.optimizers import OPTIMIZERS, SCHEDULES, clipped, learning_rate

SETTINGS = {"momentum": 0.8, "nesterov": False, "weight_decay": 0.01}


def adam(weights, gradient, number, state):
    """Take a step of Adam (Kingma & Ba 2015, algorithm 1); `number` counts from 1."""
    state[0] = 0.9 * state[0] + 0.1 * gradient
    state[1] = 0.999 * state[1] + 0.001 * gradient**2
    mean, square = state[0] / (1 - 0.9**number), state[1] / (1 - 0.999**number)
    return weights - 0.1 * mean / (square.sqrt() + 1e-8)


def sgd(weights, gradient, number, state):
    state[0] = 0.8 * state[0] + gradient
    return weights - 0.1 * state[0]


def nesterov(weights, gradient, number, state):
    state[0] = 0.8 * state[0] + gradient
    return weights - 0.1 * (gradient + 0.8 * state[0])


@pytest.mark.parametrize("reference", [adam, sgd, nesterov])
def test_steps_follow_the_published_formulas_with_weight_decay(reference):
    generator = torch.Generator().manual_seed(0)
    parameters = [torch.full((5,), 2.0), torch.ones(3)]
    settings = SETTINGS | {"nesterov": reference is nesterov}
    update, _ = OPTIMIZERS["adam" if reference is adam else "sgd"](parameters, settings)
    expected = [parameter.double() for parameter in parameters]
    states = [[0.0, 0.0] for _ in expected]
    for number in range(1, 11):
        gradients = [torch.randn(len(parameter), generator=generator) for parameter in parameters]
        update(gradients, 0.1)
        expected = [
            reference(weights, gradient.double() + 0.01 * weights, number, state)
            for weights, gradient, state in zip(expected, gradients, states, strict=True)
        ]
    for found, weights in zip(parameters, expected, strict=True):
        torch.testing.assert_close(found.double(), weights, rtol=1e-5, atol=1e-6)
    assert (parameters[0] - 2).abs().min() > 0.01  # every value changed


def test_adamw_decays_weights_apart_from_the_gradient():
    weights, expected, state = torch.full((5,), 2.0), torch.full((5,), 2.0, dtype=torch.float64), [0.0, 0.0]
    update, _ = OPTIMIZERS["adamw"]([weights], SETTINGS)
    for number in range(1, 11):
        gradient = torch.linspace(-1, 1, 5) / number
        update([gradient], 0.1)
        expected = adam(expected - 0.1 * 0.01 * expected, gradient.double(), number, state)
    torch.testing.assert_close(weights.double(), expected, rtol=1e-5, atol=1e-6)
    assert weights[2] == pytest.approx(2 * 0.999**10)  # without a gradient


def test_gradients_of_each_network_are_clipped_by_the_norm_over_its_survivors():
    gradients = {"a": torch.tensor([[3.0, 8.0], [0.3, 0.8]]), "b": torch.tensor([[4.0], [0.4]])}
    survivors = {"a": torch.tensor([[1.0, 0.0], [1.0, 0.0]]), "b": torch.ones(2, 1)}
    taken = []
    step = clipped(lambda packed, rate: taken.append((packed, rate)), gradients, survivors, 1.0)
    step(["packed"], 0.1)
    assert taken == [(["packed"], 0.1)]
    # The first network's norm is 5, so all it has is divided by 5; the second's is 0.5, below the limit.
    torch.testing.assert_close(gradients["a"], torch.tensor([[0.6, 1.6], [0.3, 0.8]]))
    torch.testing.assert_close(gradients["b"], torch.tensor([[0.8], [0.4]]))


def test_the_learning_rate_rises_during_warmup_and_decays_along_a_cosine():
    settings = {"lr": 2.0, "warmup": 4, "steps": 100, "schedule": "constant"}
    assert [learning_rate(step, settings) for step in (1, 2, 4, 5, 100)] == [0.5, 1.0, 2.0, 2.0, 2.0]
    settings = {"lr": 2.0, "warmup": 0, "steps": 100, "schedule": "cosine"}
    assert [learning_rate(step, settings) for step in (1, 51)] == pytest.approx([2.0, 1.0])
    assert 0 < learning_rate(100, settings) < 1e-3


def test_the_learning_rate_decays_after_each_milestone():
    settings = {"lr": 4.0, "warmup": 0, "steps": 9, "schedule": "step", "milestones": [3, 6], "decay": 0.5}
    rates = [4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    assert [learning_rate(step, settings) for step in range(1, 10)] == rates
    settings |= {"warmup": 4, "milestones": [6, 3]}  # in any order, and with warmup
    rates[:4] = [1.0, 2.0, 3.0, 2.0]
    assert [learning_rate(step, settings) for step in range(1, 10)] == rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_learning_rate_is_positive_and_at_most_lr(schedule):
    settings = {"lr": 0.1, "warmup": 5, "steps": 50, "schedule": schedule, "milestones": [20], "decay": 0.1}
    assert all(0 < learning_rate(step, settings) <= 0.1 for step in range(1, 51))
    assert learning_rate(1, settings) == pytest.approx(0.02)
