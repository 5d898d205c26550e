"""State of a training run: everything that changes from step to step, and so everything in a checkpoint."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from prunet.base.errors import InputError
from prunet.training import averages, evaluation, optimizers, penalties, ranks
from prunet.training.batches import Split
from prunet.training.gradients import Network
from prunet.training.mask_updates import MaskUpdater
from prunet.training.optimizers import Step
from prunet.training.plan import TrainingPlan
from prunet.training.vectors import Stack, pack, views

Point = tuple[int, list[float], list[float]]  # step, and each network's validation loss and accuracy


class TrainingState:
    """N networks, their optimizer, and their evaluations so far.

    Args:
        network: computes logits and gradients of the stack.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}, also of biases and norms of pruned units.
        device: to train on.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate` and its `seeds`.
        plan: of the training.

    Attributes:
        step: the last step taken.
        weights: (N, *shape) of every tensor; weights outside the masks are always exactly zero.
        delivered: the weights that are evaluated and delivered: `weights`, or with the setting `ema` their
            moving average, zero outside the masks too, and where a penalty holds the weights at zero.
        masks: {layer: (N, *shape) float32}, the current ones, one or zero.
        update_steps: the steps after which `update_masks` is due.
        explored: {layer: (N, *shape) bool}, True where a weight was ever in the masks; empty if they stay.
        early: the delivered weights at each network's lowest validation loss so far.
        kept: `weights` after the step that the plan keeps (before it those at the start); else empty.
        points: the evaluations on the validation split.
        augment: each network's generator of augmentation.

    Raises:
        InputError: the model has no norms to penalise.
    """

    def __init__(
        self,
        network: Network,
        start: Stack,
        masks: Stack,
        device: torch.device,
        settings: Mapping[str, Any],
        runs: Sequence[Mapping[str, Any]],
        plan: TrainingPlan,
    ) -> None:
        self._network, self._runs = network, runs
        self.step = self._first = plan.first
        self._decay: float = settings["ema"]
        self._settings = settings
        schedule, channels_last = plan.mask_schedule, settings["channels_last"]
        self._updater = MaskUpdater(schedule, masks, settings["steps"], runs) if schedule else None
        self.update_steps = self._updater.steps if self._updater else range(0)
        first = self._updater.first(masks) if self._updater else masks
        parameters = {name: start[name].to(device) for name in network.parameters}
        everything = {name: torch.ones_like(tensor) for name, tensor in parameters.items()}
        survive = everything | {name: mask.to(device, torch.float32) for name, mask in first.items()}
        self._vector, self._trained = pack(parameters, channels_last)
        self._mask, survivors = pack(survive, channels_last)
        self._gradient, self._gradients = pack(everything, channels_last)
        self._vector.mul_(self._mask)
        step, memory = optimizers.build(settings, [self._vector], self._gradients, survivors)
        self._optimize = _penalised(step, plan, self._trained, start)
        self._penalised = bool(plan.group_lasso or plan.scale_l1)
        shapes = {name: tensor.shape for name, tensor in parameters.items()}
        # Adam's step count is not a vector.
        self._memories = [views(part, shapes, channels_last) for part in memory if part.ndim]
        head, self._head = (
            {name: stack[name] for name in plan.head} for stack in (self._trained, self._gradients)
        )
        self._optimize_head, of_head = optimizers.build(settings, list(head.values()), self._head, survivors)
        self._memory = [*memory, *of_head]
        self.masks = {name: survivors[name] for name in masks}
        self.explored = {name: mask.bool() for name, mask in self.masks.items()} if self._updater else {}
        # Tensors that are not trained (the running statistics of norms) are kept as well.
        self.weights = {name: tensor.to(device, copy=True) for name, tensor in start.items()} | self._trained
        self.delivered = _copy(self.weights) if self._decay else self.weights
        self.early = _copy(self.weights)
        self.kept = {} if plan.keep is None else _copy(self.weights)
        self.points: list[Point] = []
        self._generators = _generators(runs, device)
        self.augment = self._generators[1:]

    def take_step(self, images: Tensor, labels: Tensor, rate: float, taught: Tensor | None = None) -> None:
        """Take one step along the gradients of a batch, images (N, B, C, H, W) and the rest as of `Network`.

        The first steps, up to the setting `freeze`, train the head alone.
        """
        ranks.reseed(self._generators[:1], self._runs, "dropout", self.step + 1)
        self._network.gradients(self.weights, images, labels, self._gradients, taught)
        ranks.average(self._gradient)
        if self.step < self._settings["freeze"]:
            self._optimize_head(list(self._head.values()), rate)
        else:
            self._optimize([self._gradient], rate)
        # After the step, not on the gradient: momentum and weight decay move weights whose gradient is zero.
        self._vector.mul_(self._mask)
        self.step += 1
        if self._decay:
            averages.follow(self.delivered, self.weights, self._decay, self.step - self._first)
            if self._penalised:
                averages.hold_zeros(self.delivered, self._trained)

    def update_masks(self) -> None:
        """Update the masks after one of `update_steps`.

        Raises:
            InputError: a weight or a gradient is no longer finite.
        """
        assert self._updater
        self._updater.update(self.step, self.masks, self._trained, self._gradients, self._memories)
        self._vector.mul_(self._mask)
        for name, mask in self.masks.items():
            self.delivered[name].mul_(mask)
            self.explored[name].logical_or_(mask)

    def exploration(self, number: int) -> float | None:
        """Return the share of a network's prunable weights that were ever trained; None if the masks stay.

        It is the exploration rate of in-time over-parameterisation (Liu et al. 2021).
        """
        ever = [mask[number] for mask in self.explored.values()]
        return sum(int(mask.sum()) for mask in ever) / sum(mask.numel() for mask in ever) if ever else None

    def keep(self) -> None:
        """Copy the current weights to `kept`."""
        for name, tensor in self.kept.items():
            tensor.copy_(self.weights[name])

    def evaluate(self, splits: Mapping[str, Split], size: int) -> None:
        """Evaluate on the validation split, with norms measured anew if the study asks for it.

        The weights of networks that were never better are kept; in gradual pruning, networks that were denser
        than at the end do not count.

        Raises:
            InputError: a loss is no longer finite.
        """
        statistics = self.weights.keys() - self._trained.keys()
        ranks.copy_from_first(
            stack[name] for stack in (self.weights, self.delivered) for name in sorted(statistics)
        )
        evaluation.recalibrate(self._network, self.delivered, splits["train"], size, self._settings)
        losses, accuracies = evaluation.evaluate(self._network, self.delivered, splits["val"], size)
        for number, (run, loss) in enumerate(zip(self._runs, losses, strict=True)):
            if not math.isfinite(loss):
                raise InputError(
                    f"replicate {run['replicate']}: the validation loss is {loss} at step {self.step}: "
                    "lower the learning rate."
                )
            if all(loss < point[1][number] for point in self.comparable_points(number)):
                for name, tensor in self.early.items():
                    tensor[number].copy_(self.delivered[name][number])
        self.points.append((self.step, losses, accuracies))

    def pruned_at(self, number: int) -> int | None:
        """Return the step after which a network got the masks that settled; None if its masks do not."""
        return self._updater.pruned_at(number) if self._updater else None

    def comparable_points(self, number: int) -> list[Point]:
        """Return the points at which a network was as sparse as it is at the end."""
        first = self._updater.dense_until(number) if self._updater else 0
        return [point for point in self.points if point[0] >= first]

    def outcome(self) -> dict[str, Tensor]:
        """Return the tensors of a finished run: `weights/`, `masks/` and `kept/`, by name."""
        return (
            {f"weights/{name}": tensor for name, tensor in self.delivered.items()}
            | {f"masks/{name}": tensor.bool() for name, tensor in self.masks.items()}
            | {f"kept/{name}": tensor for name, tensor in self.kept.items()}
        )

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return everything that `restore` needs: tensors, and values for JSON."""
        states = {f"generator/{n}": generator.get_state() for n, generator in enumerate(self._generators)}
        return self._tensors() | states, {"step": self.step, "points": self.points}

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Return to the state of `checkpoint`: every later step has the same bits as then."""
        for name, tensor in self._tensors().items():
            tensor.copy_(tensors[name])
        for number, generator in enumerate(self._generators):
            generator.set_state(tensors[f"generator/{number}"])
        self.step, self.points = values["step"], values["points"]

    def _tensors(self) -> dict[str, Tensor]:
        changing, remembered = (self.masks, self._updater.memory) if self._updater else ({}, {})
        return (
            {f"weights/{name}": tensor for name, tensor in self.weights.items()}
            | {f"delivered/{name}": tensor for name, tensor in self.delivered.items() if self._decay}
            | {f"early/{name}": tensor for name, tensor in self.early.items()}
            | {f"kept/{name}": tensor for name, tensor in self.kept.items()}
            | {f"masks/{name}": tensor for name, tensor in changing.items()}
            | {f"explored/{name}": tensor for name, tensor in self.explored.items()}
            | {f"memory/{name}": tensor for name, tensor in remembered.items()}
            | {f"optimizer/{number}": tensor for number, tensor in enumerate(self._memory)}
        )


def _copy(stack: Stack) -> Stack:
    return {name: tensor.clone() for name, tensor in stack.items()}


def _penalised(step: Step, plan: TrainingPlan, trained: Stack, start: Stack) -> Step:
    """Return an optimizer's step that the penalties of a plan follow."""
    if plan.group_lasso:
        groups = [
            [(trained[name], torch.from_numpy(rows).to(trained[name].device)) for name, rows in units.items()]
            for units in plan.units
        ]
        step = penalties.group_lasso(step, groups, plan.group_lasso)
    if plan.scale_l1:
        step = penalties.scale_l1(step, _norm_scales(trained, start), plan.scale_l1)
    return step


def _norm_scales(trained: Stack, everything: Stack) -> list[Tensor]:
    """Return the scales (N, channels) of batch norms: the weights next to a running variance."""
    scales = [
        tensor
        for name, tensor in trained.items()
        if name.endswith(".weight") and f"{name.removesuffix('weight')}running_var" in everything
    ]
    if not scales:
        raise InputError(
            "training.scale_l1 penalises the scales of norms, and this model has no norms: set it to 0, or "
            "choose a model with norms, such as resnet-20."
        )
    return scales


def _generators(runs: Sequence[Mapping[str, Any]], device: torch.device) -> list[Generator]:
    """Return the seeded generators of dropout and of each network's augmentation."""
    # Dropout draws from the device's global generator, and nothing else does.
    on_gpu = device.type == "cuda"
    dropout = (
        torch.cuda.default_generators[torch.cuda.current_device()] if on_gpu else torch.default_generator
    )
    dropout.manual_seed(runs[0]["seeds"]["dropout"])
    return [dropout, *(Generator().manual_seed(run["seeds"]["augment"]) for run in runs)]
