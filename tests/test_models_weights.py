"""Weights that networks start from: files, pretrained ones, and what does not fit."""

import importlib.util
from functools import partial

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.models import libraries, weights
from prunet.models.state import state
from prunet.training.trainer import Trainer
from tests import own_network, toys
from tests.toy_cells import equal

pytestmark = pytest.mark.field
SHAPE = (1, 8, 8)
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is optional")


def loaded(path, model=None, head="keep"):
    study = {"model": "it", "weights": str(path), "head": head}
    return weights.load(study, model or own_network.net(3), SHAPE)


def same(first, second):
    if first.keys() != second.keys():
        return False
    pairs = [(first[name], second[name]) for name in first]
    return all(one.dtype == other.dtype and torch.equal(one, other) for one, other in pairs)


SAVED = {
    "plain.pt": lambda tensors, path: torch.save(tensors, path),
    "nested.pth": lambda tensors, path: torch.save({"state_dict": tensors, "epoch": 3, "lr": [0.1]}, path),
    "model.pth": lambda tensors, path: torch.save({"model": tensors}, path),
    "parallel.pt": lambda tensors, path: torch.save(
        {"state_dict": {f"module.{name}": tensor for name, tensor in tensors.items()}}, path
    ),
    "half.safetensors": lambda tensors, path: safetensors.torch.save_file(
        {name: tensor.half() for name, tensor in tensors.items()}, path
    ),
}


@pytest.mark.parametrize("name", SAVED)
def test_weights_are_read_from_every_usual_file(tmp_path, name):
    tensors = {key: tensor.half().float() for key, tensor in own_network.net(3).state_dict().items()}
    SAVED[name](tensors, tmp_path / name)
    assert same(loaded(tmp_path / name), tensors)


def test_no_weights_are_loaded_by_default():
    assert (
        weights.load({"model": "it", "weights": "none", "head": "replace"}, own_network.net(3), SHAPE) == {}
    )


def test_a_replaced_head_is_not_loaded(tmp_path):
    torch.save(own_network.net(5).state_dict(), tmp_path / "five.pt")
    assert set(loaded(tmp_path / "five.pt", head="replace")) == {"1.weight", "1.bias"}
    with pytest.raises(
        InputError, match=r"2 of another shape: 3\.weight \(5, 12\) instead of \(3, 12\), 3\.b"
    ):
        loaded(tmp_path / "five.pt")


def test_tied_weights_may_be_saved_by_any_of_their_names(tmp_path):
    model = own_network.Tied(3)
    torch.save(model.state_dict(), tmp_path / "all.pt")
    names = {"second.weight": "third.weight"}
    torch.save({names.get(name, name): tensor for name, tensor in state(model).items()}, tmp_path / "one.pt")
    for file in ("all.pt", "one.pt"):
        assert same(loaded(tmp_path / file, own_network.Tied(3)), state(model))


def test_counters_of_norms_may_be_missing(tmp_path):
    model = nn.Sequential(nn.Conv2d(1, 3, 8), nn.BatchNorm2d(3), nn.Flatten())
    old = {name: tensor for name, tensor in model.state_dict().items() if "num_batches" not in name}
    torch.save(old, tmp_path / "old.pt")
    assert same(loaded(tmp_path / "old.pt", model), old)


def other(change):
    return change(dict(own_network.net(3).state_dict()))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (lambda: other(lambda found: {**found, "4.weight": found["1.bias"]}), "1 unexpected: 4.weight."),
        (lambda: {}, "4 missing: 1.weight, 1.bias, 3.weight and 1 more."),
        (
            lambda: own_network.Tied(3).state_dict(),
            "1.weight, 1.bias, 3.weight and 1 more; 10 unexpected: table, unused, mask and 7 more.",
        ),
        (
            lambda: other(lambda found: {**found, "1.bias": torch.full((12,), torch.inf)}),
            "not finite: 1.bias.",
        ),
        (lambda: [torch.zeros(2)], "are not a state dict of tensors: save model.state_dict()."),
        (lambda: {"epoch": 3}, "are not a state dict of tensors: save model.state_dict()."),
        (own_network.five, "are not a state dict alone: save model.state_dict(), not the model."),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(tmp_path, content, says):
    torch.save(content(), tmp_path / "w.pt")
    with pytest.raises(InputError) as refused:
        loaded(tmp_path / "w.pt")
    assert refused.value.message.startswith(f"the weights {tmp_path}/w.pt ")
    assert says in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_cannot_be_read_are_refused(tmp_path, name):
    path = tmp_path / name
    with pytest.raises(InputError, match=r"cannot be read \(.*No such file"):
        loaded(path)
    path.mkdir()
    with pytest.raises(InputError, match="cannot be read"):
        loaded(path)
    for content in (b"", b"no weights", b"PK\3\4cut"):
        path.rmdir() if path.is_dir() else path.unlink()
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"w\.\w+ are (damaged|not a state dict)"):
            loaded(path)


def test_only_libraries_have_pretrained_weights():
    with pytest.raises(
        InputError, match="needs a model of torchvision or timm, and the model is it: give the"
    ):
        loaded("pretrained")


class Offline:
    """A library whose only network has five classes and cannot always be fetched."""

    def __init__(self, error=None):
        self.error, self.source = error, own_network.five()

    def pretrained(self, name, channels):
        if self.error:
            raise self.error
        return self.source


def offline(monkeypatch, library):
    entry = libraries.LIBRARIES["torchvision"]._replace(
        names=lambda: ["five"],
        pretrained=library.pretrained,
        build=lambda name, channels, classes: own_network.net(classes),
        images=lambda name: (8, "bicubic", [0.25, 0.5, 0.75], [0.5, 0.5, 0.25]),
    )
    monkeypatch.setitem(libraries.LIBRARIES, "torchvision", entry)
    return {"model": "torchvision:five", "weights": "pretrained", "head": "replace"}


def test_pretrained_weights_are_fetched_without_their_head(monkeypatch):
    library = Offline()
    found = weights.load(offline(monkeypatch, library), own_network.net(3), SHAPE)
    assert same(found, {name: tensor for name, tensor in state(library.source).items() if name[0] == "1"})


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError("no route\nto host"), "(OSError: no route)"),
        (RuntimeError("invalid hash"), "(RuntimeError: invalid hash)"),
    ],
)
def test_a_failed_download_is_one_sentence(monkeypatch, error, says):
    with pytest.raises(InputError) as refused:
        weights.load(offline(monkeypatch, Offline(error)), own_network.net(3), SHAPE)
    assert (
        f"the pretrained weights of torchvision:five cannot be fetched {says}: try" in refused.value.message
    )
    assert "\n" not in refused.value.message


def test_moments_of_pretrained_images_are_averaged_for_gray_ones(monkeypatch):
    offline(monkeypatch, Offline())
    found = [libraries.images("torchvision:five", channels)["normalise"] for channels in (3, 1)]
    assert found[0] == {"mean": [0.25, 0.5, 0.75], "std": [0.5, 0.5, 0.25]}
    assert found[1] == {"mean": [0.5], "std": [1.25 / 3]}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torchvision:inception_v3", (299, "bilinear", 0.485)),
        ("torchvision:swin_t", (224, "bicubic", 0.485)),
        pytest.param("timm:tf_efficientnet_lite1", (240, "bicubic", 0.5), marks=needs_timm),
    ],
)
def test_the_libraries_say_which_images_their_weights_expect(name, expected):
    found = libraries.images(name, 3)
    assert (found["input_size"], found["interpolation"], found["normalise"]["mean"][0]) == expected


@pytest.fixture
def trainer(tmp_path):
    """Return a trainer of three replicates that start from a file with another head."""
    torch.save(own_network.five().state_dict(), tmp_path / "five.pt")
    own = {"model": "tests.own_network:five", "weights": str(tmp_path / "five.pt"), "head": "replace"}
    return Trainer(toys.study(steps=2) | own | {"init": "own", "replicates": 3}, toys.data(8), tmp_path)


def test_replicates_start_from_the_weights_and_draw_their_heads(trainer, tmp_path):
    start, again = trainer.start_weights(), trainer.start_weights()
    assert equal(start, again)
    for name in ("1.weight", "1.bias"):
        file = torch.load(tmp_path / "five.pt", weights_only=True)[name].numpy()
        assert all(np.array_equal(own, file) for own in start[name])
    assert start["3.weight"].shape == (3, 3, 12)
    assert not any(np.array_equal(start["3.weight"][0], other) for other in start["3.weight"][1:])


def test_new_random_values_are_those_of_the_model_and_not_the_weights(trainer):
    start, fresh = trainer.start_weights(), trainer.initial_weights("random", "01")
    assert all(not np.array_equal(start[name][0], fresh[name][0]) for name in start)
    bound = 1 / 8  # nn.Linear draws from +-1 / sqrt(64)
    assert 0.9 * bound < np.abs(fresh["1.weight"]).max() <= bound


def test_without_weights_the_start_is_drawn_as_ever(tmp_path):
    trainer = Trainer(toys.study(), toys.data(), tmp_path)
    assert equal(trainer.start_weights(), trainer.initial_weights("init"))


def test_classes_that_do_not_fit_are_refused_by_the_trainer(tmp_path):
    study = toys.study() | {"model": "tests.own_network:five"}
    with pytest.raises(
        InputError, match=r"tests\.own_network:five has 5 outputs for 3 classes: set head: rep"
    ):
        Trainer(study, toys.data(8), tmp_path)


def test_images_are_normalised_as_the_weights_expect(tmp_path):
    given = {"normalise": {"mean": [0.5], "std": [0.25]}}
    data = toys.data(8)
    make = partial(Trainer, data=data, checkpoints=tmp_path)
    images = make(toys.study() | given).splits["train"][0]
    pixels = data["images"][data["split"] == 0].astype(np.float32)
    np.testing.assert_allclose(images.cpu().numpy(), (pixels / 255 - 0.5) / 0.25, atol=1e-5)
    assert abs(make(toys.study()).splits["train"][0].mean()) < 1e-5 < abs(images.mean())
