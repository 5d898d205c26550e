"""Downloads of pretrained weights by torchvision and timm, from a server on the loopback interface."""

import gc
import hashlib
import importlib.util
import io
import re
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import pytest
import safetensors.torch
import torch
import torchvision
from torch import nn

from prunet.base.errors import InputError
from prunet.models import weights
from prunet.models.state import state
from tests import servers, toys  # noqa: F401 (one thread)

pytestmark = [
    pytest.mark.field,
    pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"),  # `torch.hub` leaves a socket open
]
needs_timm = pytest.mark.skipif(importlib.util.find_spec("timm") is None, reason="timm is optional")
LIBRARIES = ["torchvision", pytest.param("timm", marks=needs_timm)]


class Source(NamedTuple):
    """A network with random weights, its file, and the answer of a server to a request for this.

    Attributes:
        answer: makes it of what is sent; the headers are always those of the whole file.
    """

    model: str
    network: nn.Module
    data: bytes
    path: str
    answer: Callable[[bytes], servers.Answer]


@cache
def source(library):
    torch.manual_seed(0)
    if library == "torchvision":
        model, network, file = "torchvision:squeezenet1_1", torchvision.models.squeezenet1_1(), io.BytesIO()
        torch.save(network.state_dict(), file)
        data = file.getvalue()
        path = f"/squeezenet1_1-{hashlib.sha256(data).hexdigest()[:8]}.pth"  # which torchvision checks
        headers = {"Content_Length": len(data)}
    else:
        import timm

        model, network = "timm:test_resnet", timm.create_model("test_resnet")
        data = safetensors.torch.save(network.state_dict())
        path = f"/{timm.get_pretrained_cfg('test_resnet').hf_hub_id}/resolve/main/model.safetensors"
        digest = f'"{hashlib.sha256(data).hexdigest()}"'
        headers = {"Content_Length": len(data), "ETag": digest, "X_Repo_Commit": "0" * 40}
    return Source(model, network, data, path, lambda sent: servers.body(sent, **headers))


@pytest.fixture
def fetched(monkeypatch, tmp_path):
    """Yield a function that loads the weights of a source from a server, into a folder of the test."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between attempts

    def load(source, server):
        if source.model.startswith("torchvision"):
            found = torchvision.models.SqueezeNet1_1_Weights.DEFAULT.value
            monkeypatch.setattr(found, "url", server.url(source.path))
        else:
            from huggingface_hub import constants

            address = server.url("/{repo_id}/resolve/{revision}/{filename}")
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address)
            monkeypatch.setattr(constants, "ENDPOINT", server.url(""))
            monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
        study = {"model": source.model, "weights": "pretrained", "head": "keep"}
        return weights.load(study, source.network, (3, 160, 160))

    yield load
    gc.collect()  # closes what is left open while its warning is ignored


def same(found, network):
    expected = state(network)
    return found.keys() == expected.keys() and all(torch.equal(found[name], expected[name]) for name in found)


@pytest.mark.parametrize("library", LIBRARIES)
def test_pretrained_weights_are_downloaded_once(library, fetched):
    given = source(library)
    with servers.serving({given.path: given.answer(given.data)}) as server:
        assert same(fetched(given, server), given.network)
        assert same(fetched(given, server), given.network)
        assert [line.split()[:2] for line in server.lines].count(["GET", given.path]) == 1


FAULTS = {
    "404": (lambda given: servers.status(404, X_Error_Code="EntryNotFound"), "404"),
    "no answer": (lambda given: servers.reset, "disconnected|without response"),
    "cut off": (
        lambda given: given.answer(given.data[: len(given.data) // 2]),
        "invalid hash|closed connection",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_broken_download_is_one_sentence_and_leaves_nothing_behind(library, fault, fetched):
    given, (answer, says) = source(library), FAULTS[fault]
    with servers.serving({given.path: answer(given)}) as server, pytest.raises(InputError) as refused:
        fetched(given, server)
    assert re.fullmatch(
        rf"the pretrained weights of {given.model} cannot be fetched \(.*({says}).*\): try .*",
        refused.value.message,
    )
    with servers.serving({given.path: given.answer(given.data)}) as server:
        assert same(fetched(given, server), given.network)


def test_a_file_with_another_hash_is_not_loaded(fetched):
    given = source("torchvision")
    changed = given.data[:-1] + bytes([given.data[-1] ^ 1])
    with servers.serving({given.path: given.answer(changed)}) as server:
        for _ in range(2):
            with pytest.raises(InputError, match=r"cannot be fetched .*invalid hash value"):
                fetched(given, server)
        assert len(server.lines) == 2
