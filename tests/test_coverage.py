"""The coverage benchmark calls a network equal only if it is, and goes on where a library fails."""

import itertools
import json
import math
import os
import time
from functools import partial

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from bench import __main__ as bench
from bench.coverage import children, measure, networks, pruners
from bench.coverage.checks import Form, compare, count, difference, run, verdict
from bench.coverage.children import limited
from bench.coverage.randomise import randomise
from bench.coverage.table import table
from bench.user_modules import cases


def test_a_task_in_a_process_of_its_own_returns_its_result():
    assert limited(os.getpid, 10, 50) != os.getpid()
    assert limited(partial(divmod, 7, 2), 10, 50) == (3, 1)


@pytest.mark.parametrize(
    ("task", "seconds", "message"),
    [
        (partial(time.sleep, 60), 2, "it did not end within 0 s"),
        (partial(sum, itertools.repeat(1)), 1, "it took more than 1 s of processor time"),
        (partial(os._exit, 3), 20, "its process ended with status 3"),
        (partial(divmod, 1, 0), 20, "its process ended with status 1"),
    ],
    ids=["waits", "slow", "dies", "raises"],
)
def test_a_task_that_fails_is_named_and_not_waited_for(task, seconds, message, monkeypatch):
    monkeypatch.setattr(children, "WAIT", 0 if task.func is time.sleep else 10)
    began = time.monotonic()
    with pytest.raises(RuntimeError, match=message):
        limited(task, seconds, 50)
    assert time.monotonic() - began < 10


def test_a_task_gets_no_more_memory_than_its_limit():
    with pytest.raises(RuntimeError, match="its process ended with status 1"):
        limited(partial(bytearray, 8 * 2**30), 20, 4)


def test_no_weight_stays_constant_or_tiny():
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 9), nn.LayerNorm(9)
    )
    model.scale = nn.Parameter(torch.full((9,), 1e-6))
    nn.init.zeros_(model[3].weight)
    kept = model[0].weight.clone()
    images = torch.randn(8, 1, 4, 4) * 3 + 5
    randomise(model, (images,))
    assert torch.equal(model[0].weight, kept)
    for scales in (model.scale, model[1].weight, model[4].weight):
        assert scales.min() >= 0.5
        assert scales.max() <= 1.5
    assert all(float(tensor.detach().std()) > 0.01 for tensor in model.parameters())
    with torch.no_grad():
        features = model[0](images).transpose(0, 1).flatten(1)
    factors = model[1].running_var / features.var(1, correction=0)
    assert bool(((factors > 0.49) & (factors < 1.6)).all())
    assert float(factors.std()) > 0.05
    assert not torch.allclose(model[1].running_mean, features.mean(1), atol=1e-3)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.scale.data.fill_(0)
    randomise(model, (images,))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_the_difference_is_relative_to_the_largest_output():
    wanted = [torch.tensor([1.0, -4.0]), torch.tensor([[10.0]])]
    assert difference(wanted, [torch.tensor([1.0, -3.0]), torch.tensor([[11.0]])]) == pytest.approx(0.25)
    assert difference(wanted, wanted) == 0
    assert difference(wanted, wanted[:1]) == float("inf")
    assert difference(wanted, [wanted[0], torch.tensor([10.0])]) == float("inf")
    assert difference(wanted, [torch.tensor([1.0, float("nan")]), wanted[1]]) == float("inf")


SMALL, LARGE = Form(60, 50, 1e-9, ""), Form(70, 50, 0.0, "")
OTHER, FAILING = Form(60, 50, 0.2, "outputs differ"), Form(60, None, math.inf, "the smaller network fails")


@pytest.mark.parametrize(
    ("forms", "effect", "result", "reason"),
    [
        ([SMALL], 0.1, "equal", ""),
        ([SMALL, SMALL], 0.1, "equal", ""),
        ([OTHER, SMALL], 0.1, "equal", ""),
        ([FAILING, SMALL], 0.1, "equal", ""),
        ([SMALL, FAILING], 0.1, "equal", ""),
        ([SMALL, OTHER], 0.1, "different", "outputs differ"),
        ([OTHER], 0.1, "different", "outputs differ"),
        ([OTHER, FAILING], 0.1, "refused", "the smaller network fails"),
        ([LARGE], 0.1, "refused", "only 30% of the parameters can go"),
        ([SMALL], 1e-4, "different", "prove nothing"),
    ],
)
def test_a_network_is_equal_only_if_a_third_went_and_the_masks_have_an_effect(forms, effect, result, reason):
    row = verdict(dict(zip(["own class", "program"], forms, strict=False)), 100, effect)
    assert row["result"] == result
    assert reason in row["reason"]
    assert bool(row["forms"]) == bool({SMALL, LARGE} & set(forms))
    json.dumps(row, allow_nan=False)


def test_a_smaller_network_that_differs_or_fails_says_so():
    network = nn.Linear(2, 2).double()
    inputs = (torch.ones(3, 2, dtype=torch.float64),)
    macs, wanted = run(network, inputs)
    assert macs == 4
    assert compare(network, wanted, inputs) == Form(6, 4, 0.0, "")
    assert compare(nn.Identity(), wanted, inputs).reason.startswith("outputs differ by ")
    failing = compare(nn.Linear(3, 2).double(), wanted, inputs)
    assert failing.multiply_adds is None
    assert failing.reason.startswith("the smaller network fails: RuntimeError: mat1 and mat2")


@pytest.mark.parametrize("library", pruners.PRUNERS)
def test_one_more_removed_unit_is_noticed(library):
    if library == "Torch-Pruning":
        pytest.importorskip("torch_pruning")
    model, example, others = networks.build("own:residual with projection")
    masked, forms = pruners.PRUNERS[library](model, example)
    macs, wanted = run(masked, others)
    for smaller in forms.values():
        less, found = run(smaller, others)
        assert less < 0.4 * macs
        assert count(smaller) < 0.4 * count(masked)
        assert difference(wanted, found) < 1e-8
    rows = masked.stem[0].weight
    with torch.no_grad():
        rows[rows.flatten(1).abs().sum(1).argmax()] = 0
    assert difference(run(masked, others)[1], found) > 1e-3


def test_layers_of_the_outputs_are_found_by_their_channels():
    model, example = cases.build("dictionary as output")
    assert pruners.output_layers(model, example) == [model.output[2], model.boxes]


def test_a_quick_run_writes_a_row_for_each_network_and_library(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "LIBRARIES", {"prunet": "prunet"})
    output = tmp_path / "coverage.json"
    done = CliRunner().invoke(
        bench.main, ["--quick", "--only", "coverage", str(output)], catch_exceptions=False
    )
    assert done.exit_code == 0
    rows = json.loads(output.read_text())
    assert [(row["library"], row["model"], row["result"]) for row in rows] == [
        ("prunet", "own:residual with projection", "equal"),
        ("prunet", "own:one layer", "refused"),
    ]
    assert {"parameters", "parameters_after", "multiply_adds", "multiply_adds_after", "seconds"} <= set(
        rows[0]
    )
    assert "prunet, own:one layer: refused: no unit of the network can be removed" in done.stderr
    assert done.stdout.splitlines()[-1] == "| **small modules as users write them** | 2 | 1 | 0 | 1 |"


def test_reasons_name_files_from_the_checkout_on():
    row = measure.row_of("prunet", "own:branch on values")
    assert row["result"] == "refused"
    assert " of bench/user_modules/interfaces.py " in row["reason"]


def test_a_library_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(measure.importlib.util, "find_spec", lambda name: None if name == "timm" else name)
    with pytest.raises(measure.InputError, match=r"timm is not installed: .*requirements-bench\.txt"):
        measure.measure(tmp_path / "coverage.json", ["timm:dla34"])


def test_the_table_counts_networks_by_family():
    names = ["torchvision:resnet18", "torchvision:resnext50_32x4d", "timm:dla34"]
    rows = [
        {"library": library, "model": name, "result": "equal" if library == "prunet" else "different"}
        for name in names
        for library in ("prunet", "Torch-Pruning")
    ]
    lines = table(rows).splitlines()
    assert lines[2:] == [
        "| ResNet, wide ResNet, VGG, AlexNet | 1 | 1 | 0 | 0 | 0 | 1 | 0 |",
        "| ResNeXt, RegNet, MNASNet, MobileNet | 1 | 1 | 0 | 0 | 0 | 1 | 0 |",
        "| **torchvision** | 2 | 2 | 0 | 0 | 0 | 2 | 0 |",
        "| **timm, of all kinds** | 1 | 1 | 0 | 0 | 0 | 1 | 0 |",
    ]


def test_the_docs_show_the_table_of_the_committed_results():
    root = measure.CHECKOUT
    rows = json.loads((root / "bench" / "coverage.json").read_text())
    assert [row["model"] for row in rows if row["library"] == "prunet"] == networks.names()
    assert table(rows) in (root / "docs" / "coverage.md").read_text()
