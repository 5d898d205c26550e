"""Static quantisation to 8 bits by ONNX Runtime."""

import logging

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.compression import combinations, int8
from prunet.deployment import onnx_file
from prunet.models.built_in import MODELS
from prunet.training import batches

PREPARATION = {"stored": 16, "side": 16, "shape": [1, 16, 16], "mean": 30.5, "std": 70.25}
NAMES = ["Ada", "Zoë", "李"]


def prepared(count, seed=2):
    images = np.random.default_rng(seed).integers(0, 256, (count, 1, 16, 16), np.uint8)
    return batches.prepare(torch.from_numpy(images), PREPARATION)


def write(path, model):
    onnx_file.save(path, model.eval(), PREPARATION, NAMES)
    return path


def linear(weight, bias):
    """Return the file's network of one linear layer on the first two pixels."""
    layer = nn.Linear(256, len(weight))
    layer.weight.detach().zero_()[:, :2] = torch.tensor(weight)
    layer.bias.detach().copy_(torch.tensor(bias))
    return nn.Sequential(nn.Flatten(), layer)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a convolutional model and its file."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS["lenet-5"]((1, 16, 16), len(NAMES)).eval()
    return model, write(tmp_path_factory.mktemp("onnx") / "float.onnx", model)


def values(path, kind):
    """Return the initializers of a type, by name."""
    found = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer}
    return {name: array for name, array in found.items() if array.dtype == kind}


def test_weights_become_the_nearest_multiples_of_each_outputs_scale(tmp_path):
    weight = [[127.0, 2.4], [0.5, -1.27], [0.0, 0.0]]
    source = write(tmp_path / "float.onnx", linear(weight, [0.0, 0.0, 0.0]))
    int8.quantise(source, tmp_path / "int8.onnx", [prepared(8)])
    (found,) = (array for array in values(tmp_path / "int8.onnx", np.int8).values() if array.ndim == 2)
    found = found if found.shape == (3, 256) else found.T
    assert found[:, :2].tolist() == [[127, 2], [50, -127], [0, 0]]
    assert not found[:, 2:].any()


@pytest.mark.parametrize("percentile", [100.0, 99.99])
def test_the_outputs_are_near_those_of_float32(exported, tmp_path, percentile):
    model, source = exported
    given = prepared(30)
    int8.quantise(source, tmp_path / "int8.onnx", given.split(20), percentile)
    with torch.no_grad():
        expected = model(given)
    found = onnx_file.runner(tmp_path / "int8.onnx")(given)
    assert 0 < float((found - expected).abs().max()) < 0.05 * float(expected.abs().max())


def test_the_ranges_come_from_the_images(tmp_path):
    """An activation beyond those of the calibration is cut off."""
    source = write(tmp_path / "float.onnx", linear([[1.0, 0.0]], [0.0]))
    images = torch.zeros(2, 1, 16, 16)
    images[:, 0, 0, 0] = torch.tensor([0.0, 2.55])
    int8.quantise(source, tmp_path / "int8.onnx", [images])
    given = torch.zeros(3, 1, 16, 16)
    given[:, 0, 0, 0] = torch.tensor([-1.0, 1.234, 5.0])
    found = onnx_file.runner(tmp_path / "int8.onnx")(given)
    np.testing.assert_allclose(found[:, 0], [0, 1.23, 2.55], atol=1e-4)


def test_a_percentile_cuts_off_the_outermost_activations(tmp_path):
    """Of a hundred images, one has ten times the activation of the others."""
    source = write(tmp_path / "float.onnx", linear([[1.0, 0.0]], [0.0]))
    images = torch.linspace(0.5, 1, 100).view(-1, 1, 1, 1).repeat(1, 1, 16, 16)
    images[50] = 10
    cut = []
    for percentile in (100.0, 97.0):
        int8.quantise(source, tmp_path / "int8.onnx", [images], percentile)
        cut.append(float(onnx_file.runner(tmp_path / "int8.onnx")(images[50:51])))
    assert cut[0] == pytest.approx(10, abs=0.03)
    assert 0.9 < cut[1] < 1.1


def test_the_first_and_the_last_layer_may_stay_whole(exported, tmp_path):
    _, source = exported
    int8.quantise(source, tmp_path / "all.onnx", [prepared(8)])
    int8.quantise(source, tmp_path / "inner.onnx", [prepared(8)], ends=False)
    before = [
        shape for shape in (array.shape for array in values(source, np.float32).values()) if len(shape) > 1
    ]
    assert not [array for array in values(tmp_path / "all.onnx", np.float32).values() if array.ndim > 1]
    whole = [array.shape for array in values(tmp_path / "inner.onnx", np.float32).values() if array.ndim > 1]
    assert sorted(whole) == sorted([before[0], before[-1]])


def test_equal_input_gives_equal_bytes_with_the_metadata_of_the_source(exported, tmp_path):
    _, source = exported
    for name in ("one", "two"):
        int8.quantise(source, tmp_path / f"{name}.onnx", [prepared(8)], 99.9)
    assert (tmp_path / "one.onnx").read_bytes() == (tmp_path / "two.onnx").read_bytes()
    metadata = [
        {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        for path in (source, tmp_path / "one.onnx")
    ]
    assert metadata[0].items() <= metadata[1].items()
    onnx.checker.check_model(str(tmp_path / "one.onnx"), full_check=True)


def test_the_accuracy_of_a_file_is_that_of_its_answers(exported):
    model, source = exported
    given = prepared(30)
    with torch.no_grad():
        labels = model(given).argmax(1)
    labels[:6] = (labels[:6] + 1) % 3
    assert (
        combinations.accuracy(onnx_file.runner(source), zip(given.split(7), labels.split(7), strict=True))
        == 0.8
    )


def test_a_file_of_eight_bits_is_less_than_half_as_large(exported, tmp_path):
    int8.quantise(exported[1], tmp_path / "int8.onnx", [prepared(30)])
    assert (tmp_path / "int8.onnx").stat().st_size < exported[1].stat().st_size / 2


def test_calibration_without_images_is_refused(exported, tmp_path):
    with pytest.raises(
        InputError, match=r"^int8 measures the ranges of activations on training images, and got none"
    ):
        int8.quantise(exported[1], tmp_path / "int8.onnx", [])
    assert not list(tmp_path.iterdir())


def test_a_fault_of_the_images_is_told_as_it_is(exported, tmp_path):
    def images():
        yield prepared(1)
        raise InputError("photo.jpg cannot be read.")

    with pytest.raises(InputError, match=r"^photo\.jpg cannot be read\.$"):
        int8.quantise(exported[1], tmp_path / "int8.onnx", images())


def test_a_file_that_cannot_be_quantised_is_refused(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no")
    with pytest.raises(InputError, match=r"bad\.onnx cannot be quantised by ONNX Runtime"):
        int8.quantise(tmp_path / "bad.onnx", tmp_path / "int8.onnx", [prepared(2)])
    assert [path.name for path in tmp_path.iterdir()] == ["bad.onnx"]


def test_nothing_is_printed_and_logging_stays_as_it_was(exported, tmp_path, capfd):
    int8.quantise(exported[1], tmp_path / "int8.onnx", [prepared(8)], 99.9)
    assert "".join(capfd.readouterr()) == ""
    assert logging.root.manager.disable == logging.NOTSET


@pytest.mark.parametrize(
    ("capabilities", "slow"),
    [
        ({"architecture": "x86_64", "cpu_name": "Old", "avx2": True, "avx512_vnni": False}, True),
        ({"architecture": "x86_64", "avx_vnni": True}, False),
        ({"architecture": "aarch64"}, False),
    ],
)
def test_a_processor_without_the_instructions_is_named(monkeypatch, capabilities, slow):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert bool(int8.slow_processor()) == slow
    assert not slow or int8.slow_processor().startswith("this processor (Old) has none of avx512_vnni")
