"""Mask updates of a stack of networks during training, and their effect on weights and optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.training.plan import MaskSchedule, MaskUpdate, update_steps
from prunet.training.settling import Settling
from prunet.training.vectors import Stack


class MaskUpdater:
    """The mask updates of N networks. A checkpoint needs the masks, and `memory`.

    Args:
        schedule: of the training plan.
        masks: {layer: (N, *shape) bool} of the round.
        steps: length of the training.
        runs: for each network its `replicate` and its `seeds`, `masks` among them.

    Attributes:
        steps: the steps after which masks change, at least two.
        memory: tensors of the masks that settle, if they do.
    """

    def __init__(
        self, schedule: MaskSchedule, masks: Stack, steps: int, runs: Sequence[Mapping[str, Any]]
    ) -> None:
        self._schedule, self._runs = schedule, runs
        self._layers = [name for name in masks if name not in schedule.whole]
        self._targets = [
            {name: int(mask[number].sum()) for name, mask in masks.items()} for number in range(len(runs))
        ]
        self.steps = update_steps(schedule.begin, schedule.end, schedule.every, steps)
        pruned = {name: masks[name] for name in self._layers}
        self._settling = Settling(pruned, len(runs)) if schedule.settling else None
        self.memory = self._settling.tensors if self._settling else {}

    def pruned_at(self, number: int) -> int | None:
        """Return the step after which a network got the masks that settled, or those of the last update.

        0: not yet; None: the masks of this schedule do not settle.
        """
        return int(self._settling.pruned_at[number]) if self._settling else None

    def dense_until(self, number: int) -> int:
        """Return the step before which a network is denser than it will be."""
        return (self.pruned_at(number) or self.steps[-1]) if self._schedule.dense_first else 0

    def first(self, masks: Stack) -> Stack:
        """Return the masks that training starts with: those of the round, or dense ones."""
        if self._schedule.dense_first:
            return {name: torch.ones_like(mask) for name, mask in masks.items()}
        return masks

    def update(
        self, step: int, masks: Stack, weights: Stack, gradients: Stack, memories: Sequence[Stack]
    ) -> None:
        """Update `masks` (float32, in place) after a step; the optimizer's memory of grown weights is zeroed.

        Args:
            step: one of `steps`.
            masks: the current ones.
            weights: of the networks; the caller zeroes them outside the new masks.
            gradients: of the step just taken, outside the masks too.
            memories: the optimizer's state for every weight, its running mean of gradients first.

        Raises:
            InputError: a weight or a gradient is no longer finite.
        """
        for number, run in enumerate(self._runs):
            if self.pruned_at(number):
                continue

            def flat(stack: Stack, number: int = number) -> dict[str, NDArray[Any]]:
                return {name: stack[name][number].reshape(-1).cpu().numpy() for name in self._layers}

            update = MaskUpdate(
                progress=(step - self.steps[0]) / (self.steps[-1] - self.steps[0]),
                drop=self._schedule.drop,
                targets=self._targets[number],
                weights=flat(weights),
                gradients=flat(gradients),
                momenta=flat(memories[0]),
                masks={name: mask.astype(bool) for name, mask in flat(masks).items()},
                rng=np.random.default_rng([run["seeds"]["masks"], step]),
            )
            if not update.finite():
                raise InputError(
                    f"replicate {run['replicate']}: weights or gradients are no longer finite at step "
                    f"{step}: lower the learning rate."
                )
            updated = self._schedule.update(update)
            if self._settling:
                if not self._settling.settled(number, updated) and step != self.steps[-1]:
                    continue
                self._settling.pruned_at[number] = step
            for name, after in updated.items():
                mask = masks[name][number]
                survive = torch.from_numpy(after).view(mask.shape).to(mask.device)
                grown = survive & (mask == 0)  # these weights are zero
                for memory in memories:
                    memory[name][number].masked_fill_(grown, 0)
                mask.copy_(survive)
