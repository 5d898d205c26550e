"""A cell: the R replicates of one study that are trained from one scheme's values under one round's masks."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from prunet.base.errors import InputError
from prunet.base.seeds import derive
from prunet.networks import batches, models, training
from prunet.pruning.masks import Masks, Weights, density


class Study:
    """A study's data on the device and its model, ready to train any number of cells.

    Args:
        name: of the study, part of every seed.
        block: the study's block of params.yaml.
        seed: of the pipeline.
        data: a dataset as `prunet.dataset.load` returns it.
    """

    def __init__(self, name: str, block: dict[str, Any], seed: int, data: dict[str, Any]) -> None:
        self.name, self.seed = name, seed
        self.replicates, self.settings = block["replicates"], block["training"]
        self.device = training.device()
        augment = self.settings["augment"]
        self.splits = batches.place(data, block["input_size"], augment, self.device)
        shape = batches.input_shape(self.splits, augment)
        self.size = shape[-1]
        layout = torch.channels_last if self.settings["channels_last"] else torch.contiguous_format
        self.model = models.MODELS[block["model"]](shape, len(data["class_names"]))
        self.model = self.model.to(self.device).to(memory_format=layout)

    def initial_weights(self, *purpose: str) -> Weights:
        """Draw the weights before training, (R, *shape) for each tensor, from a seed for this purpose."""
        drawn = [
            models.initial_weights(self.model, derive(self.seed, self.name, *purpose, replicate))
            for replicate in range(self.replicates)
        ]
        return _stack(drawn)

    def dense_masks(self) -> Masks:
        """Return the masks before the first round: everything survives."""
        return {
            name: np.ones((self.replicates, *self.model.get_parameter(name).shape), bool)
            for name in models.prunable(self.model)
        }

    def train(
        self, start: Weights, masks: Masks, drawn_for: tuple[str, ...]
    ) -> tuple[Weights, dict[str, Any]]:
        """Train every replicate; return the weights (R, *shape) and the cell's result, ready for JSON.

        Data order, augmentation and dropout of a replicate are the same in every round and scheme, so that
        cells differ in masks and start values alone.

        Args:
            start: start values (R, *shape) of every tensor.
            masks: masks (R, *shape) of every pruned layer.
            drawn_for: the purpose that the start values, or what they were trained from, were drawn for.
                The result records its seed with the others.

        Raises:
            InputError: a loss is no longer finite, or start values or masks do not fit the model.
        """
        self._check(start, masks)
        trained, results = [], []
        for replicate in range(self.replicates):
            seeds = {"init": derive(self.seed, self.name, *drawn_for, replicate)} | {
                purpose: derive(self.seed, self.name, purpose, replicate)
                for purpose in ("order", "augment", "dropout")
            }
            try:
                weights, result = training.train(
                    self.model,
                    _replicate(start, replicate),
                    _replicate(masks, replicate),
                    self.splits,
                    self.size,
                    self.settings,
                    seeds,
                )
            except InputError as error:
                raise InputError(f"study {self.name}, replicate {replicate}: {error.message}") from None
            trained.append(weights)
            results.append({"seeds": seeds} | result)
        passes = self.settings["batch_size"] / len(self.splits["train"][1])
        return _stack(trained), {
            "density": density(masks),
            "layer_density": {name: density({name: mask}) for name, mask in masks.items()},
            "epochs_per_step": passes,
            "device": self.device.type,
            "replicates": results,
        }

    def _check(self, start: Weights, masks: Masks) -> None:
        expected = {
            name: (self.replicates, *tensor.shape) for name, tensor in self.model.state_dict().items()
        }
        found = {name: values.shape for name, values in start.items()}
        masked = {name: mask.shape for name, mask in masks.items()}
        if found != expected or masked != {name: expected.get(name) for name in masks}:
            raise InputError(
                f"study {self.name}: the start values or masks are of another model, input size or number of "
                "replicates: run the stages from `train` on again."
            )


def _replicate(arrays: Weights | Masks, replicate: int) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[replicate]) for name, values in arrays.items()}


def _stack(states: list[dict[str, Tensor]]) -> Weights:
    return {name: np.stack([state[name].numpy() for state in states]) for name in states[0]}
