"""The masks of a stack that change during its training: when, and what follows for weights and optimizer."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.training.dynamics import DENSE_FIRST, DYNAMICS, Moment, change_steps
from prunet.training.vectors import Stack


class Changing:
    """The changes of N networks' masks; it remembers nothing, so a checkpoint needs the masks alone.

    Args:
        changes: of the course: `how`, `whole`, `begin`, `end`, `every`, `drop`.
        masks: {layer: (N, *shape) bool} of the round.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate` and its `seeds`, `masks` among them.

    Attributes:
        steps: the steps after which masks change.
        dense_until: the step before which networks are denser than they will be.

    Raises:
        InputError: the changes do not fit the training.
    """

    def __init__(
        self,
        changes: Mapping[str, Any],
        masks: Stack,
        settings: Mapping[str, Any],
        runs: Sequence[Mapping[str, Any]],
    ) -> None:
        self._how, self._drop = changes["how"], changes["drop"]
        self._layers = [name for name in masks if name not in changes["whole"]]
        self._runs = runs
        self._ends = [
            {name: int(mask[number].sum()) for name, mask in masks.items()} for number in range(len(runs))
        ]
        self.steps = change_steps(changes, settings)
        self._dense_first = self._how in DENSE_FIRST
        self.dense_until = self.steps[-1] if self._dense_first else 0

    def first(self, masks: Stack) -> Stack:
        """Return the masks that the training begins with: the round's, or what is gradually pruned."""
        return {name: torch.ones_like(mask) for name, mask in masks.items()} if self._dense_first else masks

    def change(
        self, step: int, masks: Stack, weights: Stack, gradients: Stack, memories: Sequence[Stack]
    ) -> None:
        """Change `masks` (float32, in place) after a step; the optimizer forgets what grows.

        Args:
            step: one of `steps`.
            masks: those of now.
            weights: of the networks; the caller makes them zero where the new masks are.
            gradients: of the step just taken, outside the masks too.
            memories: what the optimizer remembers of every weight, its running mean of gradients first.

        Raises:
            InputError: a weight or a gradient is no longer finite.
        """
        for number, run in enumerate(self._runs):

            def flat(stack: Stack, number: int = number) -> dict[str, NDArray[Any]]:
                return {name: stack[name][number].reshape(-1).cpu().numpy() for name in self._layers}

            moment = Moment(
                progress=(step - self.steps[0]) / (self.steps[-1] - self.steps[0]),
                drop=self._drop,
                ends=self._ends[number],
                weights=flat(weights),
                gradients=flat(gradients),
                momenta=flat(memories[0]),
                masks={name: mask.astype(bool) for name, mask in flat(masks).items()},
                rng=np.random.default_rng([run["seeds"]["masks"], step]),
            )
            if not moment.finite():
                raise InputError(
                    f"replicate {run['replicate']}: weights or gradients are no longer finite at step "
                    f"{step}: lower the learning rate."
                )
            for name, after in DYNAMICS[self._how](moment).items():
                mask = masks[name][number]
                survive = torch.from_numpy(after).view(mask.shape).to(mask.device)
                grown = survive & (mask == 0)  # these weights were zero, and are
                for memory in memories:
                    memory[name][number].masked_fill_(grown, 0)
                mask.copy_(survive)
