import json
import re
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch

from prunet.base.errors import InputError
from prunet.deployment import onnx_file
from prunet.models import built_in as models
from prunet.models.resnets import Shortcut
from prunet.shrinking.cutting import Interleave, Select
from prunet.shrinking.shrinking import shrink
from prunet.training import batches
from tests.toy_networks import Net, images, prune, rows, single_weights, whole_outputs

NAMES = ["Ada", "Zoë", "李"]
PREPARATION = {"stored": 16, "side": 8, "shape": [1, 8, 8], "mean": 30.5, "std": 70.25}


def network(density):
    """Return LeNet-300-100 with random weights, of which this share is not zero."""
    return prune(models.MODELS["lenet-300-100"]((1, 8, 8), len(NAMES)), single_weights, density)[0].float()


def prepared(count):
    images = np.random.default_rng(2).integers(0, 256, (count, 1, 16, 16), np.uint8)
    return batches.prepare(torch.from_numpy(images), PREPARATION)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a model and its file."""
    path = tmp_path_factory.mktemp("onnx") / "ticket.onnx"
    model = network(density=0.2)
    onnx_file.save(path, model, PREPARATION, NAMES)
    return model, path


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_file_computes_what_the_model_does_for_any_number_of_images(exported, count):
    model, path = exported
    difference = onnx_file.check(path, model, [prepared(count)])
    assert 0 <= difference < 1e-5


def test_the_metadata_say_how_to_use_the_file(exported):
    import onnxruntime  # after onnx_file, which disables its telemetry

    _, path = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    found = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert found == {"preparation": PREPARATION, "class_names": NAMES}
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["N", 1, 8, 8])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["N", len(NAMES)])
    onnx.checker.check_model(str(path), full_check=True)


@pytest.mark.field
@pytest.mark.parametrize("name", ["lenet-300-100", "light-cnn-9", "resnet-20"])
def test_runtimes_of_2023_can_read_the_file(tmp_path, name):
    """ONNX Runtime 1.14 reads opset 18 and IR version 8."""
    model = models.MODELS[name]((1, 32, 32), len(NAMES)).eval()
    preparation = PREPARATION | {"stored": 36, "side": 32, "shape": [1, 32, 32]}
    onnx_file.save(tmp_path / "model.onnx", model, preparation, NAMES)
    file = onnx.load(tmp_path / "model.onnx")
    assert file.ir_version == 8
    assert [(entry.domain, entry.version) for entry in file.opset_import] == [("", 18)]
    onnx.checker.check_model(file, full_check=True)
    onnx_file.check(tmp_path / "model.onnx", model, [torch.randn(3, 1, 32, 32)])


def test_pruned_weights_are_zero_in_the_file(exported):
    model, path = exported
    weights = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer}
    for layer in models.prunable(model):
        assert np.count_nonzero(weights[layer]) == model.get_parameter(layer).count_nonzero()


def test_the_file_does_not_say_where_it_was_made(exported):
    text = exported[1].read_bytes()
    assert not re.findall(rb"[\w./-]*(?:\.py\b|site-packages|/home/|/usr/|/tmp/|prunet)[\w./-]*", text)
    assert str(exported[1].parent).encode() not in text
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(exported[1]).graph.node)


def test_another_network_is_detected(exported):
    _, path = exported
    with pytest.raises(InputError, match=r"does not match PyTorch: logits differ by up to"):
        onnx_file.check(path, network(density=0.9), [prepared(3)])


def test_another_class_is_detected_within_the_tolerance(exported, monkeypatch):
    model, path = exported
    images = prepared(4)
    monkeypatch.setattr(onnx_file, "TOLERANCE", 1e9)
    swap = torch.nn.Linear(len(NAMES), len(NAMES), bias=False)
    swap.weight.data = -torch.eye(len(NAMES))  # the least likely class becomes the most likely
    with pytest.raises(InputError, match="and 4 of 4 images get another class"):
        onnx_file.check(path, torch.nn.Sequential(model, swap), [images])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (prepared(3) * float("nan"), "differ by up to nan"),
        (torch.zeros(2, 1, 9, 9), r"ticket.onnx cannot be run by ONNX Runtime"),
    ],
    ids=["nan", "size"],
)
def test_images_that_give_nan_or_are_of_another_size_are_refused(exported, images, message):
    model, path = exported
    with pytest.raises(InputError, match=message):
        onnx_file.check(path, model, [images])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "mask", "density", "shape"),
    [
        (models.MODELS["light-cnn-9"]((1, 16, 16), 3), whole_outputs, 0.3, (1, 16, 16)),
        (Net(norms=True), rows, 0.5, (2, 8, 8)),
    ],
    ids=["light-cnn", "branches and norms"],
)
def test_a_shrunk_network_can_be_exported(tmp_path, model, mask, density, shape):
    shrunk = shrink(*prune(model, mask, density, seed=41)).float()
    if isinstance(shrunk, Net):
        assert [type(module) for module in shrunk.shortcut] == [Interleave, Shortcut, Select]
    onnx_file.save(tmp_path / "ticket.onnx", shrunk, PREPARATION | {"shape": [*shape]}, NAMES)
    for count in (1, 5):
        onnx_file.check(tmp_path / "ticket.onnx", shrunk, [images(shape, count).float()])


@pytest.mark.parametrize("content", [None, b"", b"no onnx"])
def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path, content):
    path = tmp_path / "ticket.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"ticket.onnx cannot be run by ONNX Runtime"):
        onnx_file.check(path, network(0.2), [prepared(1)])


def test_a_failed_save_keeps_the_old_file(exported, tmp_path, monkeypatch):
    path = tmp_path / "ticket.onnx"
    path.write_bytes(b"old")
    program = SimpleNamespace(model_proto=onnx.load(exported[1]))
    monkeypatch.setattr(torch.onnx, "export", lambda *args, **options: program)
    with pytest.raises(TypeError):  # not JSON
        onnx_file.save(path, network(0.2), PREPARATION | {"mean": object()}, NAMES)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
