"""The stage `check` on networks and weights of one's own, before anything is trained."""

import json
import shutil
import sys

import pytest
import torch

from prunet.base.errors import InputError
from prunet.config.params import stage_params
from prunet.models.built_in import MODELS
from prunet.training import cells
from stages import check
from tests import own_network, toys
from tests.test_models_weights import Offline, offline
from tests.toy_tools import invoke

pytestmark = pytest.mark.field
FILE = "networks/mine.py"
RATES = "networks/rates.py"
LINE = own_network.Branch.forward.__code__.co_firstlineno + 2


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with a network that imports another file, and its weights."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "networks").mkdir()
    shutil.copy(own_network.__file__, FILE)
    (tmp_path / FILE).write_text((tmp_path / FILE).read_text() + "\n\nfrom networks import rates\n")
    (tmp_path / RATES).write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(0)
    torch.save(own_network.net(10).state_dict(), "networks/ten.pt")
    torch.save(own_network.five().state_dict(), "networks/five.pt")
    yield tmp_path
    for name in ("networks", "networks.mine", "networks.rates"):
        sys.modules.pop(name, None)


def study(function="net", prune=None, **changes):
    return {"study": {"model": f"{FILE}:{function}", "init": "own", **changes}, "prune": prune or {}}


def data(name, **changes):
    return {"data": toys.params_values()["studies"]["toy"]["data"] | {"set": name} | changes}


def found(**changes):
    return stage_params(toys.params_values(**changes))["toy/train"]["study"]


def test_the_files_of_a_network_and_its_weights_are_parameters_of_the_trainings(project):
    """DVC and the reuse of cells go by them."""
    mine = study(weights="networks/ten.pt")
    first = found(**mine)
    assert set(first["sources"]) == {"model", "weights"}
    assert found(**mine) == first
    changed = [first]
    for file, content in ((FILE, b"\n# a note\n"), (RATES, b"A = 1\n"), ("networks/ten.pt", None)):
        path = project / file
        if content is None:
            torch.save(own_network.net(10).state_dict(), path)
        else:
            path.write_bytes(path.read_bytes() + content)
        changed.append(found(**mine))
    models, weights = ([each["sources"][part] for each in changed] for part in ("model", "weights"))
    assert models[2:] == [models[2]] * 2
    assert len(set(models)) == 3
    assert weights[:3] == [weights[0]] * 3
    assert len(set(weights)) == 2
    assert len({cells.key(each, []) for each in changed}) == 4
    (project / "networks" / "other.py").write_text("import torch\n")
    assert found(**mine) == changed[-1]


def test_built_in_networks_and_drawn_weights_have_no_sources(project):
    assert found()["sources"] == {}


def test_the_release_of_a_library_is_a_parameter():
    images = data("cifar-10") | {"model": "torchvision:squeezenet1_1", "input_size": 32}
    assert found(study=images)["sources"]["model"].startswith("torchvision 0.")


@pytest.mark.parametrize("place", ["networks/mine.py", "networks.mine"])
def test_files_that_dvc_does_not_watch_are_refused(project, place):
    changes = study(model=f"{place}:net", weights="networks/ten.pt")
    for watched in (".", "networks"):
        found(**changes, networks=watched)
    (project / "elsewhere").mkdir()
    with pytest.raises(
        InputError, match=r"studies.toy: networks/mine\.py is not in elsewhere, so that its ch"
    ):
        found(**changes, networks="elsewhere")
    with pytest.raises(InputError, match=r"studies.toy: networks/rates\.py is not in networks/mine\.py, so"):
        found(**changes, networks=FILE)
    shutil.copy("networks/ten.pt", "ten.pt")
    with pytest.raises(InputError, match=r"studies.toy: ten\.pt is not in networks, so that"):
        found(**study(model=f"{place}:net", weights="ten.pt"))


def test_images_are_those_of_pretrained_weights_unless_the_study_says_otherwise(monkeypatch):
    def images(**changes):
        resolved = found(study={"interpolation": None, **changes})
        return [resolved[name] for name in ("input_size", "interpolation", "normalise")]

    pretrained = offline(monkeypatch, Offline())
    moments = {"mean": [0.5], "std": [1.25 / 3]}
    assert images(**pretrained) == [8, "bicubic", moments]
    own = {"input_size": 8, "interpolation": "bilinear", "normalise": {"mean": [0.1], "std": [0.2]}}
    assert images(**pretrained | own) == list(own.values())
    assert images(**own) == list(own.values())
    assert images() == [None, "bilinear", None]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (study(model="networks/gone.py:net"), "networks/gone.py, the file of the model, does not exist"),
        (study(model="gone.net:net"), "the model's module gone.net is not found"),
        (study("nett"), "networks/mine.py has no function nett"),
        (study("number"), "networks/mine.py:number returns an object of type int: return a torch.nn.Module"),
        (study("fails"), "networks/mine.py:fails cannot be built (RuntimeError: no luck)"),
        (study("five"), "networks/mine.py:five has 5 outputs for 10 classes: set head: replace"),
        (study("subclass", head="replace"), "linear or a 1x1 convolution, and head is a Scaled"),
        (study("dictionary"), "returns a dict in evaluation mode: return one tensor, the logits"),
        (study("pair"), "networks/mine.py:pair returns a tuple in evaluation mode: return one tensor, the"),
        (study("in_place"), "networks/mine.py:in_place changes its images in place: let its first"),
        (
            study("branch"),
            f"line {LINE} of networks/mine.py depends on the values of its inputs (`if features",
        ),
        (
            study(prune={"criterion": "unit-l2", "target": {"macs": 0.01}}),
            "prune: target.macs is 0.01, and 0.08333 is left when every layer has lost all that it may",
        ),
        (study("image_to_image"), "maps an image to (1, 10, 6, 6), not to (1, classes)"),
        (
            study(input_size=9),
            "fails on images of (1, 9, 9) (channels, height, width; RuntimeError: mat1 and",
        ),
        (study("cosine", **data("folder", side=8)), "fails on images of (3, 8, 8) (channels, height, width;"),
        (study(weights="networks/gone.pt"), "the weights networks/gone.pt cannot be read"),
        (study(weights="networks/five.pt"), "2 of another shape: 3.weight (5, 12) instead of (10, 12)"),
        (
            study("Tied", weights="networks/ten.pt"),
            "the weights networks/ten.pt do not fit networks/mine.py:T",
        ),
        (study(weights="pretrained"), "needs a model of torchvision or timm, and the model is networks/mine"),
        (
            {"study": {"model": "resnet-20", "weights": "networks/ten.pt", "input_size": 8}},
            "the weights networks/ten.pt do not fit resnet-20: ",
        ),
        (study(normalise={"mean": [0.5] * 3, "std": [0.5] * 3}), "normalise needs a mean and a std for each"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence(project, changes, says):
    (project / "params.yaml").write_text(json.dumps(toys.params_values(**changes)))
    done = invoke(check, "params.yaml", "models", "params")
    assert done.exit_code == 2
    assert done.output.startswith("Error: params.yaml: studies.toy: ")
    assert says in done.output
    assert done.output.count("\n") == 1
    assert not (project / "params").exists()


@pytest.mark.parametrize(
    "changes",
    [
        study(weights="networks/ten.pt"),
        study("five", head="replace", weights="networks/five.pt"),
        study("Tied"),
        study("VisionTransformer"),
        {"study": {"weights": "networks/lenet.pt", "head": "replace"}},
    ],
)
def test_what_fits_is_accepted(project, changes):
    torch.save(MODELS["lenet-300-100"]((1, 8, 8), 4).state_dict(), "networks/lenet.pt")
    assert found(**changes)["model"] == changes["study"].get("model", "lenet-300-100")


def test_of_images_whose_classes_are_not_known_yet_the_head_is_not_compared(project):
    """The number of classes of a folder is known once the stage images has read it."""
    gray = data("faces", val=0.2, test=0.1)
    for function, file in (("five", "five"), ("net", "five"), ("net", "ten")):
        changes = study(function, weights=f"networks/{file}.pt", input_size=8, **gray)
        assert found(**changes)["weights"] == f"networks/{file}.pt"
