import pytest
import torch

from prunet.optimizers import OPTIMIZERS

SETTINGS = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.01}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_those_of_torchs_own_classes(name):
    torch.manual_seed(0)
    ours, theirs = ([torch.nn.Parameter(torch.full((5,), 2.0)), torch.nn.Parameter(torch.ones(3))] for _ in "ab")
    update = OPTIMIZERS[name](ours, SETTINGS)
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
            update(gradients)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other)
        assert (mine - 2).abs().max() > 0.1 if len(mine) == 5 else True
