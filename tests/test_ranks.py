"""One network trained by two processes, which share every batch."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from prunet.base.errors import InputError
from prunet.training import launch, loop, ranks
from tests import toys
from tests.toy_cells import equal, maker, train

NETWORKS = """
from torch import nn


def smooth(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, num_classes))


def normed(num_classes):
    first = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3)
    return nn.Sequential(*first, nn.Flatten(), nn.Linear(64, num_classes))
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORKS)
    make = maker(tmp_path)
    return lambda network="smooth", **options: make(model=f"net.py:{network}", **options)


def thinned(trainer):
    masks = {name: mask.copy() for name, mask in trainer.dense_masks().items()}
    for mask in masks.values():
        mask[:, ::2] = False
    return masks


def test_two_ranks_take_the_steps_of_one_process_with_the_same_batches(make):
    """Up to the order in which numbers are added."""
    alone, both = make(), make(ranks=2)
    one, two = (
        train(trainer, f"{name}/01", masks=thinned(trainer)) for name, trainer in (("a", alone), ("b", both))
    )
    for name in one[0]:
        np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-4, atol=1e-6)
    start = alone.initial_weights("init")
    assert max(abs(one[0][name] - start[name]).max() for name in start) > 0.01  # they have learned
    for mine, theirs in zip(one[2]["networks"], two[2]["networks"], strict=True):
        assert mine["curve"]["val_loss"] == pytest.approx(theirs["curve"]["val_loss"], rel=1e-5)
        assert mine["curve"]["val_accuracy"] == theirs["curve"]["val_accuracy"]


def test_masked_weights_stay_zero_on_every_rank(make):
    trainer = make("normed", ranks=2)
    masks = thinned(trainer)
    weights, kept, _ = train(trainer, masks=masks)
    for name, mask in masks.items():
        assert np.array_equal(kept[name], mask)
        assert not weights[name][~mask].any()


def test_a_norm_has_the_statistics_of_the_first_ranks_images(make):
    trainer = make("normed", ranks=2, steps=1, eval_every=1, batch_size=4, replicates=1)
    start = trainer.initial_weights("init")
    weights, _, result = train(trainer, start=start)
    (run,) = result["networks"]
    images = trainer.splits["train"][0]
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(run["seeds"]["order"]))
    first = nn.functional.conv2d(
        images[order[:2]], *(torch.tensor(start[f"0.{part}"][0]) for part in ("weight", "bias"))
    )
    expected = 0.1 * first.mean((0, 2, 3)).numpy()
    np.testing.assert_allclose(weights["1.running_mean"][0], expected, rtol=1e-4, atol=1e-6)


def test_a_run_that_is_killed_resumes_with_as_many_ranks_to_the_same_bits(make, monkeypatch):
    """Also with augmentation and dropout, which draw random numbers of their own on every rank."""
    options = {"ranks": 2, "augment": "pad-crop-flip", "replicates": 1}
    whole = train(make("normed", **options), "whole/01")
    trainer, take_step = make("normed", seconds=0, **options), loop.TrainingState.take_step

    def die(state, *given):
        if state.step == 17 and ranks.own() == 1:
            raise InputError("killed")
        take_step(state, *given)

    with monkeypatch.context() as patch:
        patch.setattr(loop.TrainingState, "take_step", die)
        with pytest.raises(InputError, match="killed"):
            train(trainer, "killed/01")
    resumed = train(trainer, "killed/01")
    assert equal(resumed[0], whole[0])
    assert resumed[2] == whole[2]


def test_one_rank_is_what_it_was_without_ranks(make):
    assert ranks.count() == 1
    assert ranks.part(5) == slice(0, 5)
    tensor = torch.tensor([1.0, 2.0])
    ranks.average(tensor)
    assert tensor.tolist() == ranks.total(tensor).tolist() == [1, 2]


def test_fewer_gpus_than_ranks_are_one_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    message = "training.ranks is 2, and this machine has 1 GPUs: lower ranks."
    with pytest.raises(InputError, match=re.escape(message)):
        next(launch.train(toys.data, None, None, 2, 1, True))
