"""A training on its way: all that changes from step to step, and so all that a checkpoint holds."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from prunet.base.errors import InputError
from prunet.pruning.course import Course
from prunet.training import evaluation, penalties
from prunet.training.batches import Split
from prunet.training.changing import Changing
from prunet.training.gradients import Network
from prunet.training.optimizers import OPTIMIZERS
from prunet.training.vectors import Stack, packed, views

Point = tuple[int, list[float], list[float]]  # step, and each network's validation loss and accuracy


class Progress:
    """N networks, their optimizer, and what was seen of them so far.

    Args:
        network: how logits and gradients of the stack are computed.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}, also of tensors that are not pruned but lose what pruned units had.
        where: the device.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate` and its `seeds`.
        course: of the training.

    Attributes:
        weights: the weights (N, *shape) of every tensor; those that a mask removes are always exactly zero.
        masks: {layer: (N, *shape) float32}, one or zero, as they are now.
        changes: the steps after which `change` is due.
        early: the weights at each network's lowest validation loss so far.
        kept: the weights after the step that the course keeps, before it those at the start; empty without.
        points: what was seen of the validation split.
        augment: each network's generator of augmentation.

    Raises:
        InputError: the course's changes or penalties do not fit the training.
    """

    def __init__(
        self,
        network: Network,
        start: Stack,
        masks: Stack,
        where: torch.device,
        settings: Mapping[str, Any],
        runs: Sequence[Mapping[str, Any]],
        course: Course,
    ) -> None:
        self._network, self._runs = network, runs
        changes, layout = course.changes, settings["channels_last"]
        self._changing = Changing(changes, masks, settings, runs) if changes else None
        self.changes = self._changing.steps if self._changing else range(0)
        first = self._changing.first(masks) if self._changing else masks
        parameters = {name: start[name].to(where) for name in network.parameters}
        everything = {name: torch.ones_like(tensor) for name, tensor in parameters.items()}
        survive = everything | {name: mask.to(where, torch.float32) for name, mask in first.items()}
        self._vector, self._trained = packed(parameters, layout)
        self._mask, survivors = packed(survive, layout)
        self._gradient, self._gradients = packed(everything, layout)
        self._vector.mul_(self._mask)
        self._update, self._memory = OPTIMIZERS[settings["optimizer"]]([self._vector], settings)
        shapes = {name: tensor.shape for name, tensor in parameters.items()}
        # Adam's count of steps is no vector.
        self._memories = [views(memory, shapes, layout) for memory in self._memory if memory.ndim]
        if course.group_lasso:
            layers = [tensor for tensor in self._trained.values() if tensor.ndim > 2][:-1]
            self._update = penalties.group_lasso(self._update, layers, course.group_lasso)
        if course.scale_l1:
            scales = _norm_scales(self._trained, start)
            self._update = penalties.scale_l1(self._update, scales, course.scale_l1)
        self.masks = {name: survivors[name] for name in masks}
        # What is not trained (the running statistics of norms) goes along.
        self.weights = {name: tensor.to(where, copy=True) for name, tensor in start.items()} | self._trained
        self.early = _copy(self.weights)
        self.kept = {} if course.keep is None else _copy(self.weights)
        self.points: list[Point] = []
        self._generators = _generators(runs, where)
        self.augment = self._generators[1:]

    def step(self, images: Tensor, labels: Tensor, rate: float) -> None:
        """Take one step along the gradients of a batch, images (N, B, C, H, W) and labels (N, B)."""
        self._network.gradients(self.weights, images, labels, self._gradients)
        self._update([self._gradient], rate)
        # After the step, not on the gradient: momentum and weight decay move weights whose gradient is zero.
        self._vector.mul_(self._mask)

    def change(self, step: int) -> None:
        """Change the masks after a step, one of `changes`.

        Raises:
            InputError: a weight or a gradient is no longer finite.
        """
        assert self._changing
        self._changing.change(step, self.masks, self._trained, self._gradients, self._memories)
        self._vector.mul_(self._mask)

    def keep(self) -> None:
        """Copy the weights as they are now to `kept`."""
        for name, tensor in self.kept.items():
            tensor.copy_(self.weights[name])

    def look(self, step: int, split: Split, size: int) -> None:
        """Evaluate on the validation split, and keep the weights of a network that was never better.

        Networks that were denser than at the end, in gradual pruning, are not compared with.

        Raises:
            InputError: a loss is no longer finite.
        """
        losses, accuracies = evaluation.evaluate(self._network, self.weights, split, size)
        before = self.sparse_points()
        for number, (run, loss) in enumerate(zip(self._runs, losses, strict=True)):
            if not math.isfinite(loss):
                raise InputError(
                    f"replicate {run['replicate']}: the validation loss is {loss} at step {step}: "
                    "lower the learning rate."
                )
            if all(loss < point[1][number] for point in before):
                for name, tensor in self.early.items():
                    tensor[number].copy_(self.weights[name][number])
        self.points.append((step, losses, accuracies))

    def sparse_points(self) -> list[Point]:
        """Return the points at which the networks were as sparse as they are at the end."""
        first = self._changing.dense_until if self._changing else 0
        return [point for point in self.points if point[0] >= first]

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that `restore` needs, besides the points."""
        states = {f"generator/{n}": generator.get_state() for n, generator in enumerate(self._generators)}
        return self._state() | states

    def outcome(self) -> dict[str, Tensor]:
        """Return what is left of a training that is finished: `weights/`, `masks/` and `kept/`, by name."""
        return (
            {f"weights/{name}": tensor for name, tensor in self.weights.items()}
            | {f"masks/{name}": tensor.bool() for name, tensor in self.masks.items()}
            | {f"kept/{name}": tensor for name, tensor in self.kept.items()}
        )

    def restore(self, tensors: Mapping[str, Tensor], points: list[Point]) -> None:
        """Go back to where `tensors` was called: every step after it has the same bits as then."""
        for name, tensor in self._state().items():
            tensor.copy_(tensors[name])
        for number, generator in enumerate(self._generators):
            generator.set_state(tensors[f"generator/{number}"])
        self.points = points

    def _state(self) -> dict[str, Tensor]:
        changing = self.masks if self._changing else {}
        return (
            {f"weights/{name}": tensor for name, tensor in self.weights.items()}
            | {f"early/{name}": tensor for name, tensor in self.early.items()}
            | {f"kept/{name}": tensor for name, tensor in self.kept.items()}
            | {f"masks/{name}": tensor for name, tensor in changing.items()}
            | {f"optimizer/{number}": tensor for number, tensor in enumerate(self._memory)}
        )


def _copy(stack: Stack) -> Stack:
    return {name: tensor.clone() for name, tensor in stack.items()}


def _norm_scales(trained: Stack, everything: Stack) -> list[Tensor]:
    """Return the scales (N, channels) of batch norms: the weights that stand beside a running variance."""
    scales = [
        tensor
        for name, tensor in trained.items()
        if name.endswith(".weight") and f"{name.removesuffix('weight')}running_var" in everything
    ]
    if not scales:
        raise InputError(
            "training.scale_l1 is a penalty on the scales of norms, and this model has none: set it to 0, or "
            "take a model with norms, such as resnet-20."
        )
    return scales


def _generators(runs: Sequence[Mapping[str, Any]], where: torch.device) -> list[Generator]:
    """Return the generator of dropout, and each network's of augmentation, as they begin."""
    # Dropout draws from the device's global generator, and nothing else does.
    on_gpu = where.type == "cuda"
    dropout = torch.cuda.default_generators[where.index or 0] if on_gpu else torch.default_generator
    dropout.manual_seed(runs[0]["seeds"]["dropout"])
    return [dropout, *(Generator().manual_seed(run["seeds"]["augment"]) for run in runs)]
