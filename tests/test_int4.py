"""Linear layers of 4 bits in ONNX files."""

import logging

import onnx
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.compression import int4
from prunet.deployment import onnx_file

PREPARATION = {"stored": 8, "side": 8, "shape": [1, 8, 8], "mean": 30.5, "std": 70.25}


def write(path, model):
    onnx_file.save(path, model.eval(), PREPARATION, ["Ada", "Zoë"])
    return path


def linear(bias=True):
    """Return two linear layers whose weights are multiples of 1/8 from -1 to 7/8, with every block's -1."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64, bias), nn.ReLU(), nn.Linear(64, 2))
    generator = torch.Generator().manual_seed(0)
    for layer in (model[1], model[3]):
        numbers = torch.randint(-8, 8, layer.weight.shape, generator=generator)
        numbers[:, ::16] = -8
        layer.weight.detach().copy_(numbers / 8)
    return model


@pytest.mark.parametrize("bias", [True, False])
def test_weights_on_the_grid_of_their_block_are_exact(tmp_path, bias):
    model = linear(bias)
    int4.quantise(write(tmp_path / "float.onnx", model), tmp_path / "int4.onnx", 16)
    assert onnx_file.check(tmp_path / "int4.onnx", model, [torch.randn(3, 1, 8, 8)]) < 1e-3
    found = onnx.load(tmp_path / "int4.onnx")
    kinds = [node.op_type for node in found.graph.node]
    assert kinds.count("MatMulNBits") == 2
    assert "Gemm" not in kinds
    before, after = ((tmp_path / f"{name}.onnx").stat().st_size for name in ("float", "int4"))
    assert before - after > 10_000  # of the 16,384 of the first layer
    assert {entry.key for entry in found.metadata_props} >= {"preparation", "class_names"}


def test_other_weights_are_rounded(tmp_path):
    model = linear()
    model[1].weight.detach().add_(0.05)
    int4.quantise(write(tmp_path / "float.onnx", model), tmp_path / "int4.onnx", 16)
    with pytest.raises(InputError, match="does not match PyTorch"):
        onnx_file.check(tmp_path / "int4.onnx", model, [torch.randn(3, 1, 8, 8)])


def test_equal_input_gives_equal_bytes_and_logging_stays_as_it_was(tmp_path, capfd):
    source = write(tmp_path / "float.onnx", linear())
    before = logging.getLogger().handlers[:], logging.getLogger().level
    for name in ("one", "two"):
        int4.quantise(source, tmp_path / f"{name}.onnx")
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    assert (logging.getLogger().handlers, logging.getLogger().level) == before
    assert "".join(capfd.readouterr()) == ""


def test_a_network_of_convolutions_is_refused(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 2, 8), nn.Flatten())
    with pytest.raises(InputError, match=r"float\.onnx has no linear layer, .*: choose int8\.$"):
        int4.quantise(write(tmp_path / "float.onnx", model), tmp_path / "int4.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["float.onnx"]


def test_a_file_that_is_not_onnx_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad\.onnx cannot be quantised by ONNX Runtime"):
        int4.quantise(tmp_path / "bad.onnx", tmp_path / "int4.onnx")
