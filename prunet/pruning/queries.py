"""Answers to the queries of criteria: gradients on training images, synaptic flow, groups of units.

All are of one network in evaluation mode: no dropout, norms with their running statistics.
"""

from collections.abc import Iterator
from functools import cache, partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from prunet.base.seeds import derive
from prunet.cells.masks import Masks, Weights
from prunet.models.inputs import Shape
from prunet.pruning.removal import Scores
from prunet.pruning.rounds import ModelQueries
from prunet.structure import masks as unit_masks
from prunet.training.batches import Batch, chunks, take
from prunet.training.pixels import centre
from prunet.training.trainer import Trainer

BATCH = 64  # images; bounds the memory that a gradient takes


def model(trainer: Trainer, count: int) -> ModelQueries:
    """Return the queries for a study's model, on `count` of its training images (or all, if fewer)."""
    groups, norms = unit_masks.coupled(trainer.units)
    batch = cache(lambda: sample(trainer, count))  # images on disk are decoded only if a criterion asks
    return ModelQueries(
        gradients=lambda weights, masks, power: gradients(trainer.model, batch(), weights, masks, power),
        row_slopes=lambda weights, masks: row_slopes(trainer.model, batch(), weights, masks),
        synaptic_flow=partial(synaptic_flow, trainer.model, trainer.shape),
        groups=groups,
        norms=norms,
        unread=partial(unit_masks.unread, trainer.units),
    )


def sample(trainer: Trainer, count: int) -> Batch:
    """Return the centre crops of the first training images of a seeded permutation."""
    generator = torch.Generator().manual_seed(derive(trainer.seed, trainer.name, "criterion"))
    training = trainer.splits["train"]
    images, labels = take(training, torch.randperm(len(training[1]), generator=generator)[:count])
    return centre(images, trainer.size), labels


def gradients(
    model: nn.Module, split: Batch, weights: Weights, masks: Masks, power: int
) -> dict[str, Scores]:
    """Return the mean over all images of the gradient of the cross-entropy (nats), to a power.

    The result is {layer: (*shape)}.

    Args:
        model: its own weights are not used.
        split: images (N, C, H, W) and labels (N,).
        weights: {tensor: (*shape)} of one network.
        masks: {layer: (*shape)}; the weights are zero where these are False. (The gradient there is not.)
        power: 1, the gradient of the mean loss, of many images at a time; or 2, which takes one at a time.
    """
    device, count = split[1].device, len(split[1])
    total = {
        name: torch.zeros(mask.shape, dtype=torch.float64, device=device) for name, mask in masks.items()
    }
    for found in _slopes(model, split, weights, masks, BATCH if power == 1 else 1):
        for name, slope in found.items():
            total[name] += slope**power
    return {name: (sum_ / count).cpu().numpy() for name, sum_ in total.items()}


def row_slopes(model: nn.Module, split: Batch, weights: Weights, masks: Masks) -> dict[str, Scores]:
    """Return {layer: (N, out)}: for each image, the sum of weight times gradient over every row.

    That is the slope of the image's cross-entropy (nats) in a factor of the row. The arguments are those of
    `gradients`.
    """
    rows: dict[str, list[Scores]] = {name: [] for name in masks}
    for found in _slopes(model, split, weights, masks, 1):
        for name, slope in found.items():
            product = weights[name] * masks[name] * slope.cpu().numpy()
            rows[name].append(product.reshape(len(product), -1).sum(1))
    return {name: np.stack(values) for name, values in rows.items()}


def _slopes(
    model: nn.Module, split: Batch, weights: Weights, masks: Masks, size: int
) -> Iterator[dict[str, Tensor]]:
    """Yield {layer: (*shape)}, the gradients (float64) of the summed cross-entropy of `size` images each."""
    model.eval()
    state = _masked(weights, masks, split[1].device)
    layers = [state[name].requires_grad_() for name in masks]
    for images, labels in chunks(split, size):
        loss = functional.cross_entropy(functional_call(model, state, (images,)), labels, reduction="sum")
        found = torch.autograd.grad(loss, layers)
        yield {name: gradient.double() for name, gradient in zip(masks, found, strict=True)}


def synaptic_flow(model: nn.Module, shape: Shape, weights: Weights, masks: Masks) -> dict[str, Scores]:
    """Return the synaptic flow w * dR/dw through each weight, {layer: (*shape)}, zero where pruned.

    R is the sum of the outputs for an image of ones when every tensor of the network is replaced by its
    absolute value (Tanaka et al. 2020, algorithm 1), in float64, since a product over the layers overflows
    float32. Batch norms too: before training, with mean 0 and variance 1, they multiply by |scale|.

    Args:
        model: its own weights are not used.
        shape: (C, H, W) of an image.
        weights: {tensor: (*shape)} of one network before training.
        masks: {layer: (*shape)}.
    """
    model.eval()
    device = next(model.parameters()).device
    state = {
        name: tensor.abs().double() if tensor.is_floating_point() else tensor
        for name, tensor in _masked(weights, masks, device).items()
    }
    layers = [state[name].requires_grad_() for name in masks]
    ones = torch.ones(1, *shape, dtype=torch.float64, device=device)
    total = functional_call(model, state, (ones,)).sum()
    flows = zip(masks, layers, torch.autograd.grad(total, layers), strict=True)
    return {name: (layer * slope).detach().cpu().numpy() for name, layer, slope in flows}


def _masked(weights: Weights, masks: Masks, device: torch.device) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(values * masks[name] if name in masks else values)).to(
            device
        )
        for name, values in weights.items()
    }
