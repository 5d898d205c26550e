"""Networks of one architecture as a stack of arrays."""

import copy

import numpy as np
import torch

from prunet.models.built_in import prunable
from prunet.models.state import state


def stack(model, count, seed=0, density=1.0):
    """Return weights (N, *shape) of random networks and masks (N, *shape), of the model's own type."""
    rng = np.random.default_rng(seed)
    weights = {name: np.stack([tensor.numpy()] * count) for name, tensor in state(model).items()}
    masks = {name: rng.random(weights[name].shape) < density for name in prunable(model)}
    for name, mask in masks.items():
        weights[name] = (rng.normal(0, 0.3, mask.shape) * mask).astype(weights[name].dtype)
    return weights, masks


@torch.no_grad()
def outputs(model, weights, images, number=0):
    """Return the outputs of one network of a stack in float64."""
    network = copy.deepcopy(model).double().eval()
    for name, tensor in state(network).items():
        tensor.copy_(torch.from_numpy(weights[name][number]))
    return network(images.double())
