"""The inference benchmark measures what it promises; speed itself is not tested."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from bench import inference, machine
from prunet.models import built_in as models
from tests import toys  # noqa: F401 (one thread)

SHAPE = (1, 16, 16)


def test_the_part_returns_every_number_it_promises():
    values, found = inference.measure(True, 1)
    assert set(values) == {
        "lenet_numpy_speedup",
        "lenet_sparse_speedup_95",
        "lightcnn_shrunk_speedup",
        "lightcnn_shrunk_share_of_flop_reduction",
        "lightcnn_sparse_speedup_95",
    }
    assert values == machine.medians(found)
    assert all(len(times) == inference.QUICK.repeats for times in found.values())
    assert all(math.isfinite(value) and value > 0 for value in values.values())


def test_the_full_part_has_every_sparsity_and_batch(monkeypatch):
    monkeypatch.setattr(inference, "sparsify", lambda model, images, choices=None: (model, {}))
    names = set(inference.lenet_jobs(inference.Sizes()))
    assert len(names) == 1 + 6 * 3
    assert {"lenet_sparse_speedup_50", "lenet_sparse_speedup_95_batch_64"} <= names


def test_a_share_is_the_speedup_over_the_reduction(monkeypatch):
    model, image = nn.Identity(), torch.zeros(1)
    name, share = "lightcnn_shrunk_speedup_batch_16", "lightcnn_shrunk_share_of_flop_reduction_batch_16"
    faces = {name: inference.Job(model, model, image, 0, reduction=4.0)}
    monkeypatch.setattr(inference, "lenet_jobs", lambda sizes: {})
    monkeypatch.setattr(inference, "light_cnn_jobs", lambda sizes: faces)
    monkeypatch.setattr(inference.Job, "speedup", lambda job: 3.0)
    assert inference.measure(True, 1)[0] == {name: 3, share: 0.75}


def test_a_speedup_is_dense_over_other(monkeypatch):
    times = [{"ms_median": 6}, {"ms_median": 2}]
    monkeypatch.setattr(inference.latency, "measure", lambda forms, batches, seconds: times)
    assert inference.Job(nn.Identity(), nn.Identity(), torch.zeros(1), 0).speedup() == 3


def test_the_half_of_the_pairs_with_the_smallest_norms_is_pruned():
    model = inference.initial(models.MODELS["light-cnn-9"](SHAPE, 3))
    masks = inference.half_of_pairs(model)
    assert list(masks) == models.prunable(model)
    assert masks.pop("output.weight").all()
    for name, mask in masks.items():
        first, second = np.split(mask.reshape(len(mask), -1), 2)
        kept = first.all(1)
        assert (first == kept[:, None]).all()
        assert (second == kept[:, None]).all()
        assert kept.sum() == len(kept) / 2
        norms = sum(
            half.flatten(1).square().sum(1).numpy() for half in model.get_parameter(name).detach().chunk(2)
        )
        assert norms[kept].min() > norms[~kept].max()


@pytest.mark.parametrize("rate", [0.5, 0.95])
def test_the_lowest_weights_are_zero_in_a_copy(rate):
    model = inference.initial(models.MODELS["lenet-300-100"]((1, 6, 6), 3))
    pruned = inference.masked(model, inference.lowest(model, rate))
    for name in models.prunable(model):
        before, after = model.get_parameter(name), pruned.get_parameter(name)
        assert after.count_nonzero() == before.numel() - round(rate * before.numel())
        assert before.count_nonzero() == before.numel()
        assert before[after != 0].abs().min() >= before[after == 0].abs().max()


def test_the_reduction_is_that_of_the_shrunk_network():
    sizes = inference.QUICK
    job = inference.light_cnn_jobs(sizes)["lightcnn_shrunk_speedup"]
    weights = [layer.weight for layer in job.other.modules() if isinstance(layer, nn.Conv2d)]
    assert [tuple(weight.shape[:2]) for weight in weights[:3]] == [(48, 1), (48, 24), (96, 24)]
    assert 3 < job.reduction < 4  # half the inputs and outputs of all layers but the first and the last
