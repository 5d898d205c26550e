"""The benchmark of engines measures what it promises; speed itself, and most engines, are not tested."""

import json

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from bench import __main__ as bench
from bench.engines import forms, measure, networks
from prunet.base.errors import InputError
from tests import toys  # noqa: F401 (one thread)

ALWAYS = ("ONNX Runtime, dense", "PyTorch, dense", "NumPy, dense", "prunet", "PyTorch CSR (MKL)")


def absent(network, folder):
    raise ImportError("No module named 'absent'\nand more")


@pytest.fixture
def installed(monkeypatch):
    found = {name: forms.FORMS[name] for name in ALWAYS} | {"absent": absent}
    monkeypatch.setattr(measure, "FORMS", found)


@pytest.mark.rehearsal
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.usefixtures("installed")
def test_every_form_is_timed_and_what_is_not_installed_has_its_reason(tmp_path):
    output = tmp_path / "engines.json"
    done = CliRunner().invoke(
        bench.main, ["--quick", "--only", "engines", str(output)], catch_exceptions=False
    )
    assert done.exit_code == 0
    found = json.loads(output.read_text())
    about = {"network": "LeNet-300-100, 95% pruned", "batch": 1}
    assert found["missing"] == [about | {"form": "absent", "reason": "No module named 'absent'"}]
    assert found["versions"].keys() >= {"torch", "onnxruntime", "scipy"}
    assert [row["form"] for row in found["times"]] == list(ALWAYS)
    for row in found["times"]:
        assert row.items() >= about.items()
        assert 0 < row["ms_fastest"] <= row["ms_low"] <= row["ms_median"] <= row["ms_high"]
        assert row["repeats"] >= measure.LEAST
        assert row["speedup"] == pytest.approx(found["times"][0]["ms_median"] / row["ms_median"])
        assert row["form"] in done.output


def test_only_what_computes_the_network_is_timed():
    network = networks.lenet(0.95, 2)
    measure.check(network.pruned, network, "sparse")
    measure.check(network.dense, network, "some, dense")
    for form, name in ((network.dense, "sparse"), (network.pruned, "some, dense")):
        with pytest.raises(ValueError, match="other outputs"):
            measure.check(form, network, name)


def test_the_mobile_network_is_pruned_in_its_pointwise_layers_alone():
    network = networks.mobile(0.9)
    pairs = zip(network.dense, network.pruned, strict=True)
    counted = 0
    for before, after in pairs:
        if isinstance(before, nn.Conv2d | nn.Linear):
            pointwise = isinstance(before, nn.Conv2d) and before.kernel_size == (1, 1)
            share = after.weight.count_nonzero() / before.weight.count_nonzero()
            assert share == pytest.approx(0.1 if pointwise else 1, abs=1e-3)
            counted += pointwise
    assert counted == len(networks.CHANNELS)
    with torch.inference_mode():
        assert network.pruned(network.images).shape == (1, 10)


@pytest.mark.usefixtures("installed")
def test_forms_of_fully_connected_networks_are_not_made_of_others(monkeypatch):
    monkeypatch.setattr(measure, "FORMS", dict.fromkeys((*ALWAYS, "absent"), absent))
    model = nn.Sequential(nn.Conv2d(1, 1, 1))
    _, reasons = measure.made(networks.Network("", model, model, torch.zeros(1, 1, 1, 1)))
    assert list(reasons) == ["ONNX Runtime, dense", "PyTorch, dense", "prunet", "absent"]


def test_an_engine_that_fails_otherwise_is_not_hidden(monkeypatch):
    def broken(network, folder):
        raise ZeroDivisionError

    def refused(network, folder):
        raise InputError("not here")

    monkeypatch.setattr(measure, "FORMS", {"refused": refused})
    assert measure.made(networks.lenet(0.5, 1)) == ({}, {"refused": "not here"})
    monkeypatch.setattr(measure, "FORMS", {"broken": broken})
    with pytest.raises(ZeroDivisionError):
        measure.made(networks.lenet(0.5, 1))
