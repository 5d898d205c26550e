import numpy as np
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.deployment.operations import operations
from prunet.models.built_in import MODELS


def test_a_weight_counts_once_for_each_position_of_the_output():
    model = nn.Sequential(nn.Conv2d(2, 3, 3, stride=2), nn.Flatten(), nn.Linear(12, 5))
    counted = operations(model, {}, (2, 5, 6))
    assert counted == {
        "macs_dense": 276,
        "macs_effective": 276,
        "layers": {
            "0": {"macs_dense": 216, "macs_effective": 216},  # 3x2x3x3 weights, 2x2 positions
            "2": {"macs_dense": 60, "macs_effective": 60},  # 5x12 weights, one position
        },
    }


def test_only_surviving_weights_count_as_effective():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 5))
    masks = {"0.weight": np.zeros((2, 1, 3, 3), bool), "2.weight": np.ones((5, 32), bool)}
    masks["0.weight"][1, 0, 0, :2] = True  # two weights, at 4x4 positions
    masks["2.weight"][:, 7:] = False  # 5x7 weights survive
    counted = operations(model, masks, (1, 4, 4))
    assert (counted["macs_dense"], counted["macs_effective"]) == (2 * 9 * 16 + 160, 2 * 16 + 35)
    assert counted["layers"]["0"] == {"macs_dense": 288, "macs_effective": 32}


@pytest.mark.parametrize(
    ("name", "shape", "classes", "expected"),
    [
        ("lenet-300-100", (1, 28, 28), 10, 784 * 300 + 300 * 100 + 100 * 10),
        (
            "light-cnn-9",
            (1, 128, 128),
            7,
            128**2 * 96 * 25
            + 64**2 * (96 * 48 + 192 * 48 * 9)
            + 32**2 * (192 * 96 + 384 * 96 * 9)
            + 16**2 * (384 * 192 + 256 * 192 * 9 + 256 * 128 + 256 * 128 * 9)
            + 8192 * 512
            + 256 * 7,
        ),
        (
            "resnet-20",
            (3, 32, 32),
            10,
            32**2 * (9 * 3 * 16 + 6 * 9 * 16 * 16)
            + 16**2 * (9 * 16 * 32 + 5 * 9 * 32 * 32)
            + 8**2 * (9 * 32 * 64 + 5 * 9 * 64 * 64)
            + 64 * 10,
        ),
        (
            "light-cnn-29",
            (1, 16, 16),
            7,
            16**2 * 96 * 25
            + 8**2 * (2 * 96 * 48 * 9 + 96 * 48 + 192 * 48 * 9)
            + 4**2 * (4 * 192 * 96 * 9 + 192 * 96 + 384 * 96 * 9)
            + 2**2 * (6 * 384 * 192 * 9 + 384 * 192 + 256 * 192 * 9)
            + 2**2 * (8 * 256 * 128 * 9 + 256 * 128 + 256 * 128 * 9)
            + 128 * 512
            + 256 * 7,
        ),
    ],
)
def test_models_have_the_operations_of_their_papers_tables(name, shape, classes, expected):
    counted = operations(MODELS[name](shape, classes), {}, shape)
    assert counted["macs_dense"] == counted["macs_effective"] == expected


def test_a_layer_that_is_used_twice_counts_twice():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, images):
            return self.layer(self.layer(images.flatten(1)))

    masks = {"layer.weight": np.eye(4, dtype=bool)}
    counted = operations(Twice(), masks, (1, 2, 2))
    assert (counted["macs_dense"], counted["macs_effective"]) == (32, 8)


def test_a_model_in_training_mode_is_counted_in_evaluation_mode():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3))  # one image has no variance
    assert operations(model.train(), {}, (1, 2, 2))["macs_dense"] == 12


def test_counting_leaves_the_model_as_it_was():
    model = MODELS["light-cnn-9"]((1, 16, 16), 2).train()
    before = {name: values.clone() for name, values in model.state_dict().items()}
    state = torch.random.get_rng_state()
    operations(model, {}, (1, 16, 16))
    assert model.training
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(("name", "shape"), [("fc9.weight", (300, 4)), ("fc1.weight", (300, 5))])
def test_masks_of_another_model_are_refused(name, shape):
    with pytest.raises(InputError, match=rf"mask {name} \(300, \d\) fits no layer; use"):
        operations(MODELS["lenet-300-100"]((1, 2, 2), 2), {name: np.ones(shape, bool)}, (1, 2, 2))
