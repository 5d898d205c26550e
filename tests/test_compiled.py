"""A compiled chain; most tests run its function in Python, so that they do not need Numba."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.deployment import compiled, sparse
from prunet.deployment.compiled import Compiled, suits
from prunet.deployment.sparse import sparsify
from prunet.models import built_in as models
from prunet.shrinking.cutting import Select
from prunet.shrinking.shrinking import shrink
from tests import toys  # noqa: F401 (one thread)
from tests.toy_networks import prune, single_weights

DIGITS = (1, 6, 6)


@pytest.fixture
def in_python(monkeypatch):
    monkeypatch.setattr(compiled, "find_spec", lambda name: object())
    monkeypatch.setattr(compiled, "_compile", lambda: compiled._outputs)


def links(*modules, density=0.3):
    model, _ = prune(nn.Sequential(*modules), single_weights, density)
    return model.float().eval().requires_grad_(False)


def images(count, shape=(4,)):
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))


CHAINS = {
    "one layer": [nn.Linear(4, 3)],
    "no bias": [nn.Linear(4, 3, bias=False), nn.ReLU(), nn.Linear(3, 2)],
    "ReLU at the end": [nn.Linear(4, 3), nn.ReLU()],
    "two layers without a ReLU between": [nn.Linear(4, 5), nn.Linear(5, 2)],
    "selections": [
        Select(torch.tensor([3, 0, 1])),
        Select(torch.tensor([2, 0])),
        nn.Linear(2, 6),
        nn.ReLU(),
        Select(torch.tensor([0, 1, 4])),
        nn.Linear(3, 3),
    ],
}


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("density", [0, 0.3, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_a_compiled_chain_has_the_same_outputs(name, density, count):
    chain = links(*CHAINS[name], density=density)
    assert suits(list(chain))
    found = Compiled(list(chain))(images(count))
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, chain(images(count)))


@pytest.mark.usefixtures("in_python")
def test_pruned_weights_are_skipped_and_nan_stays_nan():
    assert_skips_and_keeps_nan()


def assert_skips_and_keeps_nan():
    layer = nn.Linear(2, 2, bias=False).requires_grad_(False)
    layer.weight[:] = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    found = Compiled([layer, nn.ReLU()])(torch.tensor([[-3.0, torch.nan], [5.0, -7.0]]))
    np.testing.assert_array_equal(found, [[0, np.nan], [5, 0]])


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    "chain",
    [[nn.Flatten(), nn.ReLU(), nn.Linear(4, 3)], [nn.Linear(4, 3), nn.ReLU(), Select(torch.tensor([1]))]],
)
def test_a_chain_that_begins_with_a_relu_or_ends_with_a_selection_does_not_suit(chain):
    assert not suits(chain)


@pytest.mark.usefixtures("in_python")
def test_images_that_are_too_small_are_refused():
    made = Compiled(list(links(nn.Linear(4, 3), density=1)))
    with pytest.raises(ValueError, match="images have 3 values each, and the weights read 4"):
        made(images(2, (3,)))


def fastest(monkeypatch, form):
    monkeypatch.setattr(
        sparse.latency,
        "alternate",
        lambda forms, argument, seconds, least: {name: [float(name != form)] for name in forms},
    )


@pytest.mark.usefixtures("in_python")
@pytest.mark.parametrize(
    ("form", "chosen"), [("compiled", "compiled"), ("sparse", "csr"), ("torch", "torch")]
)
def test_a_chain_is_compiled_where_that_is_measured_to_be_fastest(monkeypatch, form, chosen):
    fastest(monkeypatch, form)
    model, masks = prune(models.MODELS["lenet-300-100"](DIGITS, 3), single_weights, 0.1)
    small = shrink(model.float(), masks)
    monkeypatch.setattr(sparse, "PRODUCTS", {"csr": sparse.PRODUCTS["csr"]})
    made, choices = sparsify(small, images(1, DIGITS))
    assert choices == dict.fromkeys(("fc1", "fc2", "output"), chosen)
    assert isinstance(made, Compiled) == (chosen == "compiled")
    again, _ = sparsify(small, images(1, DIGITS), choices)
    for count in (1, 3):
        torch.testing.assert_close(made(images(count, DIGITS)), small(images(count, DIGITS)))
        assert torch.equal(again(images(count, DIGITS)), made(images(count, DIGITS)))


def test_without_numba_no_chain_is_compiled(monkeypatch):
    monkeypatch.setattr(compiled, "find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled._compile.cache_clear()
    fastest(monkeypatch, "compiled")
    chain = links(nn.Linear(4, 3))
    assert sparsify(chain, images(1))[1].keys() == {"0"}
    assert "compiled" not in sparsify(chain, images(1))[1].values()
    with pytest.raises(InputError, match=r"Numba.* not installed: `pip install -r requirements-numba.txt`"):
        sparsify(chain, images(1), {"0": "compiled"})


def test_numba_compiles_the_function():
    pytest.importorskip("numba", reason="Numba is not installed: pip install -r requirements-numba.txt")
    compiled._compile.cache_clear()
    chain = links(*CHAINS["selections"])
    made = Compiled(list(chain))
    for count in (1, 3):
        torch.testing.assert_close(made(images(count)), chain(images(count)))
    torch.testing.assert_close(made(images(4).T), chain(images(4).T))
    assert_skips_and_keeps_nan()
