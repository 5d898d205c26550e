"""Running statistics of norms, measured anew where a network is evaluated that was not trained as it is."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from prunet.analysis import sensitive_layers, stability, sweep
from prunet.pruning import queries
from prunet.pruning.rounds import TrainedNetworks
from tests.toy_cells import maker


@pytest.fixture
def make(tmp_path):
    return lambda **training: maker(tmp_path)(1, model="tests.own_network:normed", side=8, **training)


def one(weights):
    return {name: torch.as_tensor(values[0]) for name, values in weights.items()}


def with_wrong_statistics(weights):
    wrong = {name: values + 3 for name, values in weights.items() if "running" in name}
    return weights | wrong


def test_norms_are_measured_on_training_images_and_the_given_network_stays_as_it_is(make):
    trainer = make(recalibrate=16)
    weights = one(trainer.initial_weights("init"))
    before = {name: tensor.clone() for name, tensor in weights.items()}
    found = trainer.evaluate(weights, "val")
    assert all(torch.equal(before[name], tensor) for name, tensor in weights.items())

    images = trainer.splits["train"][0]
    chosen = torch.arange(16) * len(images) // 16
    trainer.model.load_state_dict(weights)
    trainer.model.train()
    for name, module in trainer.model.named_modules():
        if f"{name}.running_mean" in weights:
            module.reset_running_stats()
            module.momentum = None
    with torch.no_grad():
        for part in (chosen[::2], chosen[1::2]):
            trainer.model(images[part])
        images, labels = trainer.splits["val"]
        logits = trainer.model.eval()(images)
    loss, right = functional.cross_entropy(logits, labels), (logits.argmax(1) == labels).float().mean()
    assert found == pytest.approx((loss.item(), right.item()))
    assert found != make().evaluate(weights, "val")


def swept(trainer, weights):
    networks = TrainedNetworks(
        weights, trainer.dense_masks(), lambda: weights, lambda: queries.model(trainer, 8)
    )
    how = {"scope": "layer", "empty_layers": "keep-one", "seed": 0}
    return sweep.sweep(trainer, networks, ["magnitude", "filter-l2"], [0.5], lambda *_: 0, {}, **how)


def by_layer(trainer, weights):
    return sensitive_layers.by_layer(trainer, weights, "filter-l2", [0.5], 0)


def along_a_path(trainer, weights):
    other = trainer.initial_weights("random", "01")
    return stability.path(trainer, weights, other)


@pytest.mark.parametrize(
    ("measure", "column"),
    [(swept, "accuracy_mean"), (by_layer, "accuracy_mean"), (along_a_path, "loss")],
)
def test_no_stage_trusts_the_statistics_of_the_network_before_it_was_pruned(make, measure, column):
    for recalibrate, trusts in ((16, False), (0, True)):
        trainer = make(recalibrate=recalibrate)
        weights = trainer.initial_weights("init")
        same = np.allclose(
            measure(trainer, weights)[column], measure(trainer, with_wrong_statistics(weights))[column]
        )
        assert same != trusts
