"""Linear layers of 4 bits in ONNX files."""

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from prunet.compression import int4
from prunet.deployment import grids, onnx_file

PREPARATION = {"stored": 8, "side": 8, "shape": [1, 8, 8], "mean": 30.5, "std": 70.25}


def write(path, model):
    onnx_file.save(path, model.eval(), PREPARATION, ["Ada", "Zoë"])
    return path


def linear(bits, bias=True):
    """Return two linear layers on a grid, half pruned; the second has an output without weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 90, bias), nn.ReLU(), nn.Linear(90, 2))
    for layer in (model[1], model[3]):
        mask = np.random.default_rng(0).random(tuple(layer.weight.shape)) < 0.5
        if layer is model[3]:
            mask[1] = False
        rounded = grids.quantise(layer.weight.detach().numpy(), mask, bits)
        layer.weight.detach().copy_(torch.from_numpy(rounded))
    return model


@pytest.mark.parametrize(("bits", "bias"), [(4, True), (1, False)])
def test_weights_on_a_grid_are_stored_exactly_in_half_a_byte(tmp_path, bits, bias):
    model = linear(bits, bias)
    path = write(tmp_path / "few.onnx", model)
    before = path.stat().st_size
    assert int4.pack(path) == 2
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    assert onnx_file.check(path, model, [images]) < 1e-5
    found = onnx.load(path)
    assert [node.op_type for node in found.graph.node].count("MatMulNBits") == 2
    assert not [entry for entry in found.graph.initializer if entry.data_type == 1 and len(entry.dims) > 1]
    numbers = 64 * 90 * 3.5 + 90 * 2 * 3.5
    assert before - path.stat().st_size == pytest.approx(numbers, abs=1200)  # scales, and their names
    assert {entry.key for entry in found.metadata_props} >= {"preparation", "class_names"}


def test_an_output_without_its_largest_weights_is_still_on_the_grid():
    numbers = np.array([[3, -1, 0], [0, 0, 0], [-7, 7, 5], [2, -2, 2]], np.float32)
    found, scales = int4.numbers(numbers * np.array([[0.5], [9], [0.25], [3]], np.float32))
    np.testing.assert_allclose(found * scales[:, None], numbers * [[0.5], [9], [0.25], [3]])
    assert np.abs(found).max() == 7
    assert int4.numbers(np.array([[7, 0.4]], np.float32)) is None


def test_other_layers_stay_as_they_are(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten(), nn.Linear(2, 2))
    model[2].weight.detach().copy_(torch.tensor([[7, 0.4], [1, 2]]))
    path = write(tmp_path / "float.onnx", model)
    before = path.read_bytes()
    assert int4.pack(path) == 0
    assert path.read_bytes() == before


def test_equal_input_gives_equal_bytes(tmp_path):
    paths = [write(tmp_path / f"{name}.onnx", linear(4)) for name in ("one", "two")]
    for path in paths:
        int4.pack(path)
    assert paths[0].read_bytes() == paths[1].read_bytes()
