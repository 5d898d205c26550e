"""A training on its way: all that changes from step to step, and so all that a checkpoint holds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from prunet.base.errors import InputError
from prunet.networks import evaluation
from prunet.networks.batches import Split
from prunet.networks.gradients import Network
from prunet.networks.optimizers import OPTIMIZERS
from prunet.networks.vectors import Stack, packed

Point = tuple[int, list[float], list[float]]  # step, and each network's validation loss and accuracy


class Progress:
    """N networks, their optimizer, and what was seen of them so far.

    Args:
        network: how logits and gradients of the stack are computed.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}.
        where: the device.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate` and its `seeds`.

    Attributes:
        weights: the weights (N, *shape) of every tensor; those that a mask removes are always exactly zero.
        early: the weights at each network's lowest validation loss so far.
        points: what was seen of the validation split.
        augment: each network's generator of augmentation.
    """

    def __init__(
        self,
        network: Network,
        start: Stack,
        masks: Stack,
        where: torch.device,
        settings: Mapping[str, Any],
        runs: Sequence[Mapping[str, Any]],
    ) -> None:
        self._network, self._runs = network, runs
        parameters = {name: start[name].to(where) for name in network.parameters}
        everything = {name: torch.ones_like(tensor) for name, tensor in parameters.items()}
        survive = everything | {name: mask.to(where, torch.float32) for name, mask in masks.items()}
        layout = settings["channels_last"]
        self._vector, trained = packed(parameters, layout)
        self._mask, _ = packed(survive, layout)
        self._gradient, self._gradients = packed(everything, layout)
        self._vector.mul_(self._mask)
        self._update, self._memory = OPTIMIZERS[settings["optimizer"]]([self._vector], settings)
        # What is not trained (the running statistics of norms) goes along.
        self.weights = {name: tensor.to(where, copy=True) for name, tensor in start.items()} | trained
        self.early = {name: tensor.clone() for name, tensor in self.weights.items()}
        self.points: list[Point] = []
        self.augment = [Generator().manual_seed(run["seeds"]["augment"]) for run in runs]
        # Dropout draws from the device's global generator, and nothing else does.
        on_gpu = where.type == "cuda"
        dropout = torch.cuda.default_generators[where.index or 0] if on_gpu else torch.default_generator
        dropout.manual_seed(runs[0]["seeds"]["dropout"])
        self._generators = [dropout, *self.augment]

    def step(self, images: Tensor, labels: Tensor, rate: float) -> None:
        """Take one step along the gradients of a batch, images (N, B, C, H, W) and labels (N, B)."""
        self._network.gradients(self.weights, images, labels, self._gradients)
        self._update([self._gradient], rate)
        # After the step, not on the gradient: momentum and weight decay move weights whose gradient is zero.
        self._vector.mul_(self._mask)

    def look(self, step: int, split: Split, size: int) -> None:
        """Evaluate on the validation split, and keep the weights of a network that was never better.

        Raises:
            InputError: a loss is no longer finite.
        """
        losses, accuracies = evaluation.evaluate(self._network, self.weights, split, size)
        for number, (run, loss) in enumerate(zip(self._runs, losses, strict=True)):
            if not math.isfinite(loss):
                raise InputError(
                    f"replicate {run['replicate']}: the validation loss is {loss} at step {step}: "
                    "lower the learning rate."
                )
            if all(loss < point[1][number] for point in self.points):
                for name, tensor in self.early.items():
                    tensor[number].copy_(self.weights[name][number])
        self.points.append((step, losses, accuracies))

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that `restore` needs, besides the points."""
        states = {f"generator/{n}": generator.get_state() for n, generator in enumerate(self._generators)}
        return self._changing() | states

    def restore(self, tensors: Mapping[str, Tensor], points: list[Point]) -> None:
        """Go back to where `tensors` was called: every step after it has the same bits as then."""
        for name, tensor in self._changing().items():
            tensor.copy_(tensors[name])
        for number, generator in enumerate(self._generators):
            generator.set_state(tensors[f"generator/{number}"])
        self.points = points

    def _changing(self) -> dict[str, Tensor]:
        return (
            {f"weights/{name}": tensor for name, tensor in self.weights.items()}
            | {f"early/{name}": tensor for name, tensor in self.early.items()}
            | {f"optimizer/{number}": tensor for number, tensor in enumerate(self._memory)}
        )
