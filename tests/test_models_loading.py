"""Networks by name: of torchvision, timm, and functions of one's own; their heads."""

import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.models import functions
from prunet.models.built_in import MODELS, initial_weights, prunable
from prunet.models.loading import build, build_for, check
from prunet.models.state import first_names, load_state, state
from tests import own_network

pytestmark = pytest.mark.field
SHAPE = (1, 8, 8)
FILE = Path(own_network.__file__)


def own(function):
    return f"tests.own_network:{function}"


@pytest.mark.parametrize("place", [f"{FILE}:", "tests.own_network:"])
@pytest.mark.parametrize(
    ("function", "outputs"), [("net", 7), ("any_arguments", 7), ("five", 5), ("Tied", 7)]
)
def test_a_function_is_called_with_the_number_of_classes_if_it_takes_that(place, function, outputs):
    model = build(place + function, SHAPE, 7).eval()
    assert model(torch.zeros(2, *SHAPE)).shape == (2, outputs)


def test_built_in_networks_keep_their_names():
    expected = initial_weights(partial(MODELS["lenet-300-100"], SHAPE, 7), 3, "own")
    found = initial_weights(partial(build, "lenet-300-100", SHAPE, 7), 3, "own")
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_file_finds_its_imports_in_the_working_folder_and_they_are_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name, code in {
        "__init__": "",
        "parts": "from . import sizes\nfrom .sizes import HIDDEN\n",
        "sizes": "HIDDEN = 3\n",
        "other": "import torch\n",
    }.items():
        (tmp_path / "mine" / "deep").mkdir(parents=True, exist_ok=True)
        (tmp_path / "mine" / "deep" / f"{name}.py").write_text(code)
    (tmp_path / "mine" / "net.py").write_text(
        "from dataclasses import dataclass\nfrom torch import nn\nfrom mine.deep.parts import HIDDEN\n\n"
        "@dataclass\nclass Sizes:\n    width: int = HIDDEN\n\n"
        "def net(num_classes):\n"
        "    layers = nn.Flatten(), nn.Linear(64, Sizes().width), nn.Linear(3, num_classes)\n"
        "    return nn.Sequential(*layers)\n"
    )
    assert len(list(build("mine/net.py:net", SHAPE, 4).parameters())) == 4
    files = [Path("mine") / name for name in ("deep/__init__.py", "deep/parts.py", "deep/sizes.py", "net.py")]
    assert functions.files("mine/net.py:net") == files
    assert functions.files("mine.net:net") == files
    assert functions.files("torch.nn:Linear") == []  # an installed package


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("alexnet", "model 'alexnet' is not one of lenet-300-100, "),
        ("networks/gone.py:net", "networks/gone.py, the file of the model, does not exist."),
        ("tests.gone:net", "the model's module tests.gone is not found: there is no tests.gone."),
        ("gone.net:net", "the model's module gone.net is not found: there is no gone."),
        (own("nett"), "tests.own_network has no function nett."),
        (own("PIXELS"), "tests.own_network has no function PIXELS."),
        (own("number"), "returns an object of type int: return a torch.nn.Module."),
        (own("fails"), f"{own('fails')} cannot be built (RuntimeError: no luck)."),
        (own("Cosine"), "has no linear layer or convolution that prunet can prune."),
        (
            own("of_doubles"),
            "has tensors that are not float32, int64 or bool: 1.weight (torch.float64), 1.bi",
        ),
        ("torchvision:resnet19", "torchvision has no network 'resnet19' for images: did you mean resnet18?"),
        ("torchvision:fcn_resnet50", "torchvision has no network 'fcn_resnet50' for images"),
    ],
)
def test_what_is_no_network_is_refused_in_one_sentence(name, says):
    with pytest.raises(InputError) as refused:
        build(name, SHAPE, 3)
    assert says in refused.value.message
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import gone_package", "net.py imports gone_package, which is not installed."),
        ("def net(:", "net.py cannot be imported (SyntaxError: "),
        ("1 / 0", "net.py cannot be imported (ZeroDivisionError: division by zero)."),
    ],
)
def test_a_file_that_cannot_be_imported_is_refused(tmp_path, code, says):
    (tmp_path / "net.py").write_text(code)
    with pytest.raises(InputError) as refused:
        build(f"{tmp_path}/net.py:net", SHAPE, 3)
    assert says in refused.value.message


def test_timm_is_optional(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match="timm, which is not installed: pip install timm"):
        build("timm:resnet18", (3, 32, 32), 10)


def test_networks_of_timm_take_the_channels_and_classes():
    pytest.importorskip("timm")
    model = build("timm:efficientnet_lite0", (1, 64, 64), 7)
    check("it", model, (1, 64, 64), 7)
    with pytest.raises(InputError, match="timm has no network 'resnet1888' for images"):
        build("timm:resnet1888", (3, 32, 32), 10)


@pytest.mark.parametrize("name", ["googlenet", "squeezenet1_1"])
def test_networks_of_torchvision_have_one_output_a_class(name):
    model = build(f"torchvision:{name}", (3, 64, 64), 7)
    check("it", model, (3, 64, 64), 7)
    assert not any(name.startswith("aux") for name in state(model))
    assert model.training


@pytest.mark.parametrize(
    ("name", "shape", "classes", "says"),
    [
        (
            "torchvision:mobilenet_v3_small",
            (1, 32, 32),
            3,
            "fails on images of (1, 32, 32) (channels, height,",
        ),
        (own("net"), (1, 9, 9), 3, "cannot be multiplied (1x81 and 64x12)): set the study's input_size"),
        (
            own("five"),
            SHAPE,
            3,
            "has 5 outputs for 3 classes: set head: replace, or let the function take nu",
        ),
        (own("dictionary"), SHAPE, 3, "returns a dict in evaluation mode"),
        (
            own("in_place"),
            SHAPE,
            3,
            "changes its images in place: let its first operation make a new tensor.",
        ),
        (own("image_to_image"), SHAPE, 10, "maps an image to (1, 10, 6, 6), not to (1, classes)"),
    ],
)
def test_a_network_that_does_not_fit_images_or_classes_is_refused(name, shape, classes, says):
    model = build(name, shape, classes)
    with pytest.raises(InputError) as refused:
        check(name, model, shape, classes)
    assert says in refused.value.message


def test_outputs_of_an_unknown_number_of_classes_are_accepted():
    check("it", own_network.five(), SHAPE, None)


def test_lazy_layers_get_their_sizes():
    assert {name: len(tensor) for name, tensor in state(build(own("lazy"), SHAPE, 10)).items()} == {
        **{"1.weight": 12, "1.bias": 12, "3.weight": 10, "3.bias": 10}
    }


def replaced(function, seed=0):
    torch.manual_seed(seed)
    return build_for({"model": own(function), "head": "replace"}, SHAPE, 3)


@pytest.mark.parametrize(
    ("function", "head", "kind"), [("five", "3", nn.Linear), ("convolution", "head.1", nn.Conv2d)]
)
def test_a_head_is_replaced_by_a_fresh_one_of_the_same_type(function, head, kind):
    first, other = replaced(function), replaced(function, seed=1)
    check("it", first, SHAPE, 3)
    before, after = build(own(function), SHAPE, 3).get_submodule(head), first.get_submodule(head)
    assert type(after) is type(before) is kind
    assert (after.bias is None) == (before.bias is None)
    assert not torch.equal(after.weight, other.get_submodule(head).weight)


def test_a_head_with_the_right_number_of_outputs_stays():
    assert type(build_for({"model": own("subclass"), "head": "replace"}, SHAPE, 5).head).__name__ == "Scaled"


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("subclass", "needs a last layer that is linear or a 1x1 convolution, and head is a Scaled"),
        ("cosine", "needs a last layer that computes the outputs, and body.1 does not"),
    ],
)
def test_a_head_of_another_type_is_not_replaced(function, says):
    with pytest.raises(InputError, match=says):
        replaced(function)


def test_tied_weights_are_one_tensor():
    model = own_network.Tied()
    assert prunable(model) == ["first.weight", "second.weight", "head.weight"]
    assert first_names(model)["third.weight"] == "second.weight"
    assert "third.weight" not in state(model)
    drawn = initial_weights(own_network.Tied, 3, "glorot")
    load_state(model, {name: tensor.numpy() for name, tensor in drawn.items()})
    assert model.third.weight is model.second.weight
    assert torch.equal(model.third.weight, drawn["second.weight"])
    with pytest.raises(RuntimeError, match=r"Unexpected key.*third"):
        load_state(model, drawn | {"thirdd.weight": drawn["second.weight"]})


@pytest.mark.parametrize("init", ["glorot", "he"])
def test_tokens_positions_scales_and_buffers_stay_as_the_model_draws_them(init):
    model = own_network.VisionTransformer
    drawn, of_its_own = (initial_weights(model, 2, kind) for kind in (init, "own"))
    changed = {name for name in drawn if not torch.equal(drawn[name], of_its_own[name])}
    biases = {"patches.bias", "head.bias", "block.linear1.bias", "block.linear2.bias"}
    assert changed == {*prunable(model()), *biases}
    assert not any(drawn[name].any() for name in biases)
    assert (drawn["token"] == 0.25).all()
    assert (drawn["scale"] == 0.1).all()
    assert torch.equal(drawn["positions"], of_its_own["positions"])
