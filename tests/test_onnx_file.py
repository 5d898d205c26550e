import json
import re
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from prunet.base.errors import InputError
from prunet.deployment import onnx_file
from prunet.graph.cutting import Place, Select
from prunet.graph.shrinking import shrink
from prunet.models import built_in as models
from prunet.models.resnets import Shortcut
from prunet.pruning.masks import remove_lowest
from prunet.training import batches
from tests.conftest import CHECKOUT
from tests.test_shrinking import prune
from tests.test_shrinking_graphs import Net, rows

NAMES = ["Ada", "Zoë", "李"]
SHAPES = {"lenet-300-100": (1, 8, 8), "light-cnn-9": (1, 16, 16)}


def preparation(name):
    _, _, side = SHAPES[name]
    return {"stored": 2 * side, "side": side, "shape": [1, side, side], "mean": 30.5, "std": 70.25}


def network(name, density=1.0):
    """A network with random weights, the lowest of each layer zero."""
    model = models.MODELS[name](SHAPES[name], len(NAMES))
    weights = models.initial_weights(model, 1, "glorot")
    for layer in models.prunable(model):
        values = weights[layer].numpy()
        values.ravel()[~remove_lowest(np.abs(values.ravel()), np.ones(values.size, bool), 1 - density)] = 0
    model.load_state_dict(weights)
    return model.eval()


def prepared(name, count):
    stored = preparation(name)["stored"]
    images = np.random.default_rng(2).integers(0, 256, (count, 1, stored, stored), np.uint8)
    return batches.prepare(torch.from_numpy(images), preparation(name))


@pytest.fixture(scope="module", params=SHAPES)
def exported(request, tmp_path_factory):
    """Name of the model, the model, and its file."""
    path = tmp_path_factory.mktemp("onnx") / "ticket.onnx"
    model = network(request.param, density=0.2)
    onnx_file.save(path, model, preparation(request.param), NAMES)
    return request.param, model, path


@pytest.mark.parametrize("count", [1, 2, 7])
def test_the_file_computes_what_the_model_does_for_any_number_of_images(exported, count):
    name, model, path = exported
    difference = onnx_file.check(path, model, prepared(name, count))
    assert 0 <= difference < 1e-5


def test_a_stranger_can_use_the_file_by_what_it_says(exported):
    name, _, path = exported
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = {key: json.loads(value) for key, value in session.get_modelmeta().custom_metadata_map.items()}
    assert about == {"preparation": preparation(name), "class_names": NAMES}
    (images,), (logits,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["N", *SHAPES[name]])
    assert (logits.name, logits.type, logits.shape) == ("logits", "tensor(float)", ["N", len(NAMES)])
    onnx.checker.check_model(str(path), full_check=True)
    assert [entry.version for entry in onnx.load(path).opset_import] == [onnx_file.OPSET]


def test_pruned_weights_are_zero_in_the_file(exported):
    _, model, path = exported
    weights = {entry.name: onnx.numpy_helper.to_array(entry) for entry in onnx.load(path).graph.initializer}
    layers = models.prunable(model)
    assert sum(np.count_nonzero(weights[layer]) for layer in layers) == sum(
        np.count_nonzero(model.get_parameter(layer).detach()) for layer in layers
    )


def test_the_file_does_not_say_where_it_was_made(exported):
    text = exported[2].read_bytes()
    assert not re.findall(rb"[\w./-]*(?:\.py\b|site-packages|/home/|/usr/|/tmp/|prunet)[\w./-]*", text)
    assert str(exported[2].parent).encode() not in text
    assert not any(node.metadata_props or node.doc_string for node in onnx.load(exported[2]).graph.node)


@pytest.mark.slow
def test_another_process_writes_the_same_bytes_and_no_word(tmp_path):
    onnx_file.save(tmp_path / "here.onnx", network("light-cnn-9"), preparation("light-cnn-9"), NAMES)
    code = (
        "import sys, pathlib; sys.path.insert(0, sys.argv[1]); import tests.test_onnx_file as t; "
        "t.onnx_file.save(pathlib.Path(sys.argv[2]), t.network('light-cnn-9'), "
        "t.preparation('light-cnn-9'), t.NAMES)"
    )
    command = [sys.executable, "-c", code, str(CHECKOUT), str(tmp_path / "there.onnx")]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
    assert (tmp_path / "here.onnx").read_bytes() == (tmp_path / "there.onnx").read_bytes()


def test_another_network_is_noticed(exported):
    name, _, path = exported
    with pytest.raises(InputError, match=r"does not compute what PyTorch does: logits differ by up to"):
        onnx_file.check(path, network(name, density=0.9), prepared(name, 3))


def test_another_class_is_noticed_within_the_tolerance(exported, monkeypatch):
    name, model, path = exported
    images = prepared(name, 4)
    monkeypatch.setattr(onnx_file, "TOLERANCE", 1e9)
    swapped = [torch.nn.Linear(len(NAMES), len(NAMES), bias=False)]
    swapped[0].weight.data = -torch.eye(len(NAMES))  # the least likely class becomes the likeliest
    with pytest.raises(InputError, match="and 4 of 4 images get another class"):
        onnx_file.check(path, torch.nn.Sequential(model, *swapped), images)


def test_logits_that_are_not_numbers_are_noticed(exported):
    name, model, path = exported
    with pytest.raises(InputError, match="differ by up to nan"):
        onnx_file.check(path, model, prepared(name, 3) * float("nan"))


def test_images_of_another_size_are_refused(exported):
    _, model, path = exported
    with pytest.raises(InputError, match=r"ticket.onnx cannot be run by ONNX Runtime"):
        onnx_file.check(path, model, torch.zeros(2, 1, 9, 9))


@pytest.mark.parametrize("name", ["lenet-300-100", pytest.param("light-cnn-9", marks=pytest.mark.slow)])
def test_a_shrunk_network_has_a_file_too(tmp_path, name):
    model = network(name)
    masks = {layer: np.ones(model.get_parameter(layer).shape, bool) for layer in models.prunable(model)}
    for mask in masks.values():
        mask[: len(mask) // 3] = False  # the first units or filters have no weight left
    masks[next(reversed(masks))][:] = True
    shrunk = shrink(model, masks)
    onnx_file.save(tmp_path / "ticket.onnx", shrunk, preparation(name), NAMES)
    assert onnx_file.check(tmp_path / "ticket.onnx", shrunk, prepared(name, 5)) < 1e-5


@pytest.mark.slow
def test_a_shrunk_network_with_branches_and_norms_has_a_file_too(tmp_path):
    model, masks = prune(Net(norms=True), lambda rng, shape: rows(rng, shape, 0.5), seed=41)
    shrunk = shrink(model, masks).float()
    assert [type(module) for module in shrunk.shortcut] == [Place, Shortcut, Select]
    said = {"stored": 8, "side": 8, "shape": [2, 8, 8], "mean": 30.5, "std": 70.25}
    onnx_file.save(tmp_path / "ticket.onnx", shrunk, said, NAMES)
    for count in (1, 5):
        assert onnx_file.check(tmp_path / "ticket.onnx", shrunk, torch.randn(count, 2, 8, 8)) < 1e-5


@pytest.mark.parametrize("content", [None, b"", b"no onnx"])
def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path, content):
    path = tmp_path / "ticket.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"ticket.onnx cannot be run by ONNX Runtime"):
        onnx_file.check(path, network("lenet-300-100"), prepared("lenet-300-100", 1))


def test_a_file_that_cannot_be_made_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "ticket.onnx"
    path.write_bytes(b"old")
    unwritable = preparation("lenet-300-100") | {"mean": object()}  # no JSON
    with pytest.raises(TypeError):
        onnx_file.save(path, network("lenet-300-100"), unwritable, NAMES)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
