import pytest
import torch

from prunet.networks.optimizers import OPTIMIZERS, learning_rate

SETTINGS = {"momentum": 0.8, "weight_decay": 0.01}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_those_of_torchs_own_classes(name):
    torch.manual_seed(0)
    ours, theirs = (
        [torch.nn.Parameter(torch.full((5,), 2.0)), torch.nn.Parameter(torch.ones(3))] for _ in "ab"
    )
    update, _ = OPTIMIZERS[name](ours, SETTINGS)
    reference = {
        "adam": lambda: torch.optim.Adam(theirs, lr=0.1, weight_decay=0.01),
        "sgd": lambda: torch.optim.SGD(theirs, lr=0.1, momentum=0.8, weight_decay=0.01),
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


def test_the_learning_rate_rises_over_the_warm_up_and_falls_along_the_cosine():
    settings = {"lr": 2.0, "warmup": 4, "steps": 100, "schedule": "constant"}
    assert [learning_rate(step, settings) for step in (1, 2, 4, 5, 100)] == [0.5, 1.0, 2.0, 2.0, 2.0]
    settings = {"lr": 2.0, "warmup": 0, "steps": 100, "schedule": "cosine"}
    assert [learning_rate(step, settings) for step in (1, 51)] == pytest.approx([2.0, 1.0])
    assert 0 < learning_rate(100, settings) < 1e-3
