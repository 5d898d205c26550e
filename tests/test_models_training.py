"""Training of any module: one step under masks, in one network of a stack."""

from functools import partial

import numpy as np
import pytest
import torch
from torch.nn import functional

from prunet.models.built_in import initial_weights, prunable
from prunet.models.loading import build
from prunet.models.state import load_state, state
from prunet.training.gradients import network
from prunet.training.plan import TrainingPlan
from prunet.training.state import TrainingState
from prunet.training.trainer import Trainer
from tests import own_network, toys
from tests.toy_cells import equal, train
from tests.toy_training import runs

pytestmark = pytest.mark.field
CPU = torch.device("cpu")
SIDES = {
    "torchvision:squeezenet1_0": 32,
    "torchvision:shufflenet_v2_x0_5": 32,
    "torchvision:mobilenet_v3_small": 32,
    "torchvision:regnet_y_400mf": 32,
    "torchvision:googlenet": 32,
    "tests.own_network:VisionTransformer": 8,
    "tests.own_network:Tied": 8,
}


def started(name, side, density=0.5, **settings):
    """Return a model, masks, the state of one network's training before its first step, and a batch."""
    channels = 3 if name.startswith("torchvision") else 1
    make = partial(build, name, (channels, side, side), 3)
    model = make()
    start = {key: tensor[None] for key, tensor in initial_weights(make, 1, "he").items()}
    rng = torch.Generator().manual_seed(0)
    masks = {key: torch.rand(start[key].shape, generator=rng) < density for key in prunable(model)}
    chosen = toys.SETTINGS | {"optimizer": "sgd", "lr": 0.01} | settings
    begun = TrainingState(network(model, chosen), start, masks, CPU, chosen, runs(1), TrainingPlan())
    images = torch.rand(1, 4, channels, side, side, generator=rng)
    return model, masks, begun, images, torch.tensor([[0, 1, 2, 0]])


SWIN = pytest.param("torchvision:swin_t", 32, marks=pytest.mark.slow)


@pytest.mark.parametrize(("name", "side"), [*SIDES.items(), SWIN])
def test_after_a_step_losses_are_finite_and_pruned_weights_are_zero(name, side):
    model, masks, begun, images, labels = started(name, side)
    before = {key: tensor.clone() for key, tensor in begun.weights.items()}
    for _ in range(2):
        begun.take_step(images, labels, 0.01)
    split = images[0], labels[0]
    begun.evaluate({"train": split, "val": split}, side)
    assert np.isfinite(begun.points[0][1]).all()
    assert list(begun.weights) == list(state(model))
    for key, mask in masks.items():
        assert not begun.weights[key][~mask].any()
    # Layers in front of a norm may have a gradient of zero, and so may some biases.
    moved = [key for key in masks if not torch.equal(before[key], begun.weights[key])]
    assert len(moved) > 0.9 * len(masks)


def test_a_step_on_tied_weights_is_that_of_the_plain_module():
    """Their gradients add up; a frozen table and a buffer stay; what is not used has a gradient of zero."""
    model, _, begun, images, labels = started(
        "tests.own_network:Tied", 8, density=2, momentum=0, weight_decay=0
    )
    reference = own_network.Tied(3)
    load_state(reference, {name: tensor[0] for name, tensor in begun.weights.items()})
    optimizer = torch.optim.SGD([p for p in reference.parameters() if p.requires_grad], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        functional.cross_entropy(reference(images[0])[0], labels[0]).backward()
        optimizer.step()
        begun.take_step(images, labels, 0.1)
    expected = state(reference)
    for name, tensor in begun.weights.items():
        torch.testing.assert_close(tensor[0], expected[name])
    assert "table" not in network(model, toys.SETTINGS).parameters
    assert not torch.equal(begun.weights["second.weight"][0], state(model)["second.weight"])


def test_a_frozen_layer_that_can_be_pruned_is_trained():
    model = own_network.VisionTransformer()
    model.requires_grad_(False)
    assert network(model, toys.SETTINGS).parameters == prunable(model)


def test_a_fully_connected_network_with_a_frozen_part_is_not_differentiated_by_hand():
    model = own_network.net(3)
    assert network(model, toys.SETTINGS).stackable
    model[1].bias.requires_grad_(False)
    found = network(model, toys.SETTINGS)
    assert (found.stackable, found.parameters) == (False, ["1.weight", "3.weight", "3.bias"])


@pytest.mark.parametrize("name", ["Tied", "VisionTransformer"])
def test_a_cell_of_any_network_is_trained_stored_and_read_again(tmp_path, name):
    own = {"model": f"tests.own_network:{name}", "init": "own", "replicates": 2}
    trainer = Trainer(toys.study(steps=2) | own, toys.data(8), tmp_path)
    start = trainer.start_weights()
    rng = np.random.default_rng(0)
    masks = {key: rng.random(mask.shape) < 0.5 for key, mask in trainer.dense_masks().items()}
    weights, kept, _ = train(trainer, start=start, masks=masks)
    assert equal(kept, masks)
    assert set(weights) == set(start)
    assert all(not weights[key][~mask].any() for key, mask in masks.items())
    assert weights[next(iter(masks))].any()
