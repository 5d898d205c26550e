import pytest
import torch

from prunet.training.optimizers import OPTIMIZERS, SCHEDULES, learning_rate

SETTINGS = {"momentum": 0.8, "nesterov": False, "weight_decay": 0.01}


@pytest.mark.parametrize(("name", "nesterov"), [("adam", False), ("sgd", False), ("sgd", True)])
def test_steps_equal_those_of_torchs_own_classes(name, nesterov):
    torch.manual_seed(0)
    ours, theirs = (
        [torch.nn.Parameter(torch.full((5,), 2.0)), torch.nn.Parameter(torch.ones(3))] for _ in "ab"
    )
    update, _ = OPTIMIZERS[name](ours, SETTINGS | {"nesterov": nesterov})
    reference = {
        "adam": lambda: torch.optim.Adam(theirs, lr=0.1, weight_decay=0.01),
        "sgd": lambda: torch.optim.SGD(theirs, lr=0.1, momentum=0.8, nesterov=nesterov, weight_decay=0.01),
    }[name]()
    for _ in range(10):
        gradients = [torch.randn(5), torch.randn(3)]
        for parameter, gradient in zip(theirs, gradients, strict=True):
            parameter.grad = gradient.clone()
        reference.step()
        with torch.no_grad():
            update(gradients, 0.1)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)
    assert (ours[0] - 2).abs().min() > 0.01  # all of it moved


def test_nesterovs_momentum_goes_on_from_where_momentum_leads():
    parameters = [torch.zeros(1)]
    update, _ = OPTIMIZERS["sgd"](parameters, {"momentum": 0.5, "nesterov": True, "weight_decay": 0.0})
    update([torch.ones(1)], 1.0)
    assert parameters[0].item() == -1.5  # velocity 1: gradient 1 and half of the velocity
    update([torch.ones(1)], 1.0)
    assert parameters[0].item() == -1.5 - 1.75  # velocity 1.5


def test_the_learning_rate_rises_over_the_warm_up_and_falls_along_the_cosine():
    settings = {"lr": 2.0, "warmup": 4, "steps": 100, "schedule": "constant"}
    assert [learning_rate(step, settings) for step in (1, 2, 4, 5, 100)] == [0.5, 1.0, 2.0, 2.0, 2.0]
    settings = {"lr": 2.0, "warmup": 0, "steps": 100, "schedule": "cosine"}
    assert [learning_rate(step, settings) for step in (1, 51)] == pytest.approx([2.0, 1.0])
    assert 0 < learning_rate(100, settings) < 1e-3


def test_the_learning_rate_falls_after_each_milestone():
    settings = {"lr": 4.0, "warmup": 0, "steps": 9, "schedule": "step", "milestones": [3, 6], "decay": 0.5}
    rates = [4.0, 4.0, 4.0, 2.0, 2.0, 2.0, 1.0, 1.0, 1.0]
    assert [learning_rate(step, settings) for step in range(1, 10)] == rates
    settings |= {"warmup": 4, "milestones": [6, 3]}  # in any order, and beside a warm-up
    rates[:4] = [1.0, 2.0, 3.0, 2.0]
    assert [learning_rate(step, settings) for step in range(1, 10)] == rates


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_is_never_above_lr_and_never_zero(schedule):
    settings = {"lr": 0.1, "warmup": 5, "steps": 50, "schedule": schedule, "milestones": [20], "decay": 0.1}
    assert all(0 < learning_rate(step, settings) <= 0.1 for step in range(1, 51))
    assert learning_rate(1, settings) == pytest.approx(0.02)
