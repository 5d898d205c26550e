"""Trained codebook: the values that the weights of a layer share, trained with all of their gradients."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.deployment.codebook import quantise
from prunet.deployment.metadata import Storage, is_bias
from prunet.training import evaluation, optimizers
from prunet.training.batches import Split, training_batches
from prunet.training.gradients import Network
from prunet.training.vectors import Stack


@torch.no_grad()
def train(
    network: Network,
    weights: Weights,
    masks: Masks,
    splits: Mapping[str, Split],
    size: int,
    settings: Mapping[str, Any],
    seeds: Mapping[str, int],
    storage: Storage,
) -> tuple[Weights, dict[str, float]]:
    """Quantise one network's layers and train the values that survivors share (Han et al. 2016, section 3).

    A surviving weight keeps its entry in the layer's codebook of `codebook.quantise`. The gradient of an
    entry is the sum of the gradients of its weights (their equation 3). Other tensors stay; norms measure
    their statistics as in training. `compact.dumps` with the same `storage` stores the result exactly.

    Args:
        network: computes logits and gradients of the model.
        weights: (*shape) of every tensor, zero where pruned.
        masks: (*shape) of every pruned layer.
        splits: `train` and `val`: images (B, C, H, W) and labels (B,), on the device to train on.
        size: pixels a side that the model sees.
        settings: the study's `training` block with the `steps`, the learning rate and the schedule of this
            training. Its optimizer (whose weight decay is that of the shared values), batches, cropping,
            mirroring and smoothed labels are used; mixed images, random distortions, penalties and the moving
            average are not.
        seeds: of the data's `order`, of `augment` and of `dropout`.
        storage: its `bits`: a layer has at most 2**bits values; whether `biases` share values too, where
            zeros stay zero; and which weights stay `whole`.

    Returns:
        The weights, and `val_loss`, `val_accuracy` of the network as given, with `_quantised` after
        quantisation and with `_trained` in the end.

    Raises:
        InputError: weights to quantise are not finite, or the training diverges.
    """
    device = splits["train"][1].device
    stack = {name: torch.tensor(values, device=device)[None] for name, values in weights.items()}
    record = _measured(network, stack, splits, size, settings, "")
    bits = storage.bits or 0
    own = {name: each != 0 for name, each in weights.items() if storage.biases and is_bias(name, each.dtype)}
    quantised = {name: mask for name, mask in (own | masks).items() if name not in storage.whole}
    layers = {name: _Layer(stack[name], mask, bits, name) for name, mask in quantised.items()}
    record |= _measured(network, stack, splits, size, settings, "_quantised")

    shared = {name: layer for name, layer in layers.items() if name in network.parameters}
    values = {name: layer.values for name, layer in shared.items()}
    slopes = {name: torch.zeros_like(tensor) for name, tensor in values.items()}
    step_with, _ = optimizers.build(
        settings,
        list(values.values()),
        slopes,
        {name: torch.ones_like(each) for name, each in values.items()},
    )
    gradients = {name: torch.zeros_like(stack[name]) for name in network.parameters}
    torch.manual_seed(seeds["dropout"])
    runs, generators = [{"seeds": seeds}], [Generator().manual_seed(seeds["augment"])]
    for step, (images, labels) in training_batches(splits["train"], size, settings, runs, generators, 0):
        network.gradients(stack, images, labels, gradients)
        for name, layer in shared.items():
            slopes[name].copy_(layer.sums(gradients[name]))
        step_with(list(slopes.values()), optimizers.learning_rate(step, settings))
        for layer in shared.values():
            layer.write()
    record |= _measured(network, stack, splits, size, settings, "_trained")
    if not np.isfinite(record["val_loss_trained"]):
        raise InputError(
            f"the shared values diverge after {settings['steps']} steps: lower the learning rate."
        )
    return {name: tensor[0].cpu().numpy() for name, tensor in stack.items()}, record


class _Layer:
    """A layer (1, *shape) whose surviving weights share values.

    Attributes:
        values: (1, k), those of the codebook, which are trained.
    """

    def __init__(self, weight: Tensor, mask: Any, bits: int, name: str) -> None:
        self._weight = weight.view(-1)
        where = torch.from_numpy(mask).to(weight.device).view(-1)
        self._survivors = where.nonzero().squeeze(1)
        given = self._weight[self._survivors].cpu().numpy()
        if not np.isfinite(given).all():
            raise InputError(f"{name} has weights that are not finite: only finite weights can be quantised.")
        codebook, entries = quantise(given, bits)
        self._entries = torch.from_numpy(entries).to(weight.device, torch.int64)
        self.values = torch.from_numpy(codebook).to(weight.device)[None]
        self.write()

    def sums(self, gradient: Tensor) -> Tensor:
        """Return the sums (1, k) of a gradient (1, *shape) over the weights of each entry."""
        own = gradient.reshape(-1)[self._survivors]
        return torch.zeros_like(self.values).index_add_(1, self._entries, own[None])

    def write(self) -> None:
        """Write the values into the layer."""
        self._weight[self._survivors] = self.values[0, self._entries]


def _measured(
    network: Network,
    stack: Stack,
    splits: Mapping[str, Split],
    size: int,
    settings: Mapping[str, Any],
    suffix: str,
) -> dict[str, float]:
    evaluation.recalibrate(network, stack, splits["train"], size, settings)
    losses, accuracies = evaluation.evaluate(network, stack, splits["val"], size)
    return {f"val_loss{suffix}": losses[0], f"val_accuracy{suffix}": accuracies[0]}
