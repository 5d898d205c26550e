"""A cell: the networks of one study that are trained from one scheme's values under one round's masks."""

from collections.abc import Iterable
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import torch
from torch import Tensor

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.base.seeds import derive
from prunet.config import params
from prunet.data import dataset
from prunet.graph import units
from prunet.models import built_in as models
from prunet.pruning.course import Course
from prunet.pruning.masks import Masks, Weights, density
from prunet.training import batches, checkpoints, gradients, runs, training, workers


class Trained(NamedTuple):
    """The networks of a cell after their training.

    Attributes:
        weights: (N, *shape) of every tensor.
        masks: (N, *shape) of every pruned layer: those that were given, or what became of them.
        result: what was measured, ready for JSON.
        kept: weights (N, *shape) after the step that the course keeps; empty if it keeps none.
    """

    weights: Weights
    masks: Masks
    result: dict[str, Any]
    kept: Weights


class Study:
    """A study's data on the device and its model, ready to train any number of cells.

    Args:
        name: of the study, part of every seed.
        block: the study's block of params.yaml.
        seed: of the pipeline.
        data: a dataset as `prunet.data.dataset.load` returns it.
        unfinished: folder for checkpoints of trainings that are not finished.
        checkpoint_seconds: between two checkpoints of a training.

    Attributes:
        rewind: the step of the dense training that schemes go back to.

    Raises:
        InputError: the data do not fit the model, or `rewind` is not before the end of the training.
    """

    def __init__(
        self,
        name: str,
        block: dict[str, Any],
        seed: int,
        data: dict[str, Any],
        unfinished: Path,
        checkpoint_seconds: float,
    ) -> None:
        self.name, self.seed, self.block = name, seed, block
        self.replicates, self.settings = block["replicates"], block["training"]
        self.unfinished, self.checkpoint_seconds = unfinished, checkpoint_seconds
        torch.set_num_threads(1)  # a process that had more cannot be forked
        self.device = training.device()
        augment = self.settings["augment"]
        self.splits = batches.place(data, block["input_size"], augment, self.device)
        self.shape = batches.input_shape(self.splits, augment)
        self.size = self.shape[-1]
        self.model = models.MODELS[block["model"]](self.shape, len(data["class_names"])).to(self.device)
        self.rewind = self._rewind_step()
        self.data_key = checkpoints.key({}, dataset.contents(data))

    @classmethod
    def of(
        cls, values: dict[str, Any], name: str, data: dict[str, Any], unfinished: Path, *order: str
    ) -> "Study":
        """Open the study `name` of the values of params.yaml; `order` names data orders other than its own.

        Raises:
            InputError: there is no study of this name, or the data do not fit its model.
        """
        seed = derive(values["seed"], *order) if order else values["seed"]
        return cls(name, params.study(values, name), seed, data, unfinished, values["checkpoint_seconds"])

    def initial_weights(self, *purpose: str, reinits: int = 1) -> Weights:
        """Draw weights before training, (R x reinits, *shape) for each tensor, from seeds for this purpose.

        Those of one replicate stand next to one another.

        Raises:
            InputError: there is not enough memory for so many networks.
        """
        self._check_memory(self.replicates * reinits)
        count = self.replicates * reinits
        seeds = runs.initial_seeds(self.seed, self.name, purpose, self.replicates, count)
        return _stack([models.initial_weights(self.model, seed, self.block["init"]) for seed in seeds])

    def dense_masks(self) -> Masks:
        """Return the masks before the first round, (R, *shape) for each layer: everything survives."""
        return {
            name: np.ones((self.replicates, *self.model.get_parameter(name).shape), bool)
            for name in models.prunable(self.model)
        }

    @cached_property
    def coupled(self) -> tuple[units.Groups, dict[str, str]]:
        """Which units of the model go together, and the norms behind its layers: `units.coupled`."""
        return units.coupled(self.model, self.shape)

    def dependents(self, masks: Masks) -> Masks:
        """Return the masks (N, out) of biases and norms that go with removed units: `units.dependents`."""
        return units.dependents(self.model, masks, self.coupled[1])

    def dense_course(self) -> Course:
        """Return the course of a dense training, which alone has penalties."""
        return Course(group_lasso=self.settings["group_lasso"], scale_l1=self.settings["scale_l1"])

    def check_masks(self, masks: Masks) -> None:
        """Refuse masks that are not those of the model's layers, (R, *shape) each.

        Raises:
            InputError: a layer is missing or unknown, or its mask has another shape.
        """
        expected = {name: mask.shape for name, mask in self.dense_masks().items()}
        if {name: mask.shape for name, mask in masks.items()} != expected:
            raise InputError(
                f"study {self.name}: the masks are of another model, input size or number of replicates: run "
                "the stages from `train` on again."
            )

    def train(
        self,
        cell: str,
        start: Weights,
        masks: Masks,
        drawn_for: tuple[str, ...],
        course: Course = training.WHOLE,
        whole_units: bool = False,
    ) -> Trained:
        """Train N networks.

        Data order, augmentation and dropout of a replicate are the same in every round and scheme, so that
        cells differ in masks and start values alone. A training that was killed goes on from its last
        checkpoint, to the same bits; `forget` removes the checkpoints when the cell is safe.

        On a CPU a network's bits do not depend on those beside it: networks run in processes of
        `training.threads` threads. On a GPU fully connected networks are trained as one stack.

        Args:
            cell: its scheme and round, for messages and the checkpoints' place.
            start: start values (N, *shape) of every tensor, N a multiple of the number of replicates.
            masks: masks (N, *shape) of every pruned layer.
            drawn_for: the purpose that the start values, or what they were trained from, were drawn for.
                The result records its seed with the others.
            course: which steps are trained, and what happens between them.
            whole_units: whether `masks` removed whole units: then their biases and norms stay zero too.

        Raises:
            InputError: a loss is no longer finite, start values or masks do not fit the model, or the course
                does not fit the settings.
        """
        self._check(start, masks)
        count = len(next(iter(start.values())))
        network = gradients.network(self.model, self.settings)
        changing = cell if course.changes else None
        each = runs.runs(self.seed, self.name, drawn_for, self.replicates, count, changing)
        zeros = masks | self.dependents(masks) if whole_units else masks
        at_once = self._at_once(network.stackable, count)
        # A stack leaves the caches of a core, so that on a CPU every network is alone.
        stacked = at_once if self.device.type == "cuda" else 1
        groups = [range(first, first + stacked) for first in range(0, count, stacked)]
        saved = [self._checkpoint(cell, group, start, zeros, each, course) for group in groups]
        tasks = [
            partial(
                training.train,
                network,
                _part(start, group),
                _part(zeros, group),
                self.splits,
                self.size,
                self.settings,
                each[group.start : group.stop],
                checkpoint,
                course,
            )
            for group, checkpoint in zip(groups, saved, strict=True)
        ]
        try:
            workers.run(tasks, at_once // stacked, self._threads())
        except InputError as error:
            raise InputError(f"study {self.name}, {cell}: {error.message}") from None
        finished = [training.load_finished(checkpoint) for checkpoint in saved]
        return self._gathered(finished, start, masks)

    def forget(self, cell: str) -> None:
        """Remove a cell's checkpoints."""
        for path in self._folder(cell).glob("*.safetensors"):
            path.unlink()

    def _gathered(self, finished: list[training.Finished], start: Weights, masks: Masks) -> Trained:
        kept = _joined([part.kept for part in finished], start) if finished[0].kept else {}
        ends: Masks = _joined([part.masks for part in finished], masks)
        result = {
            "density": density(ends),
            "layer_density": {name: density({name: mask}) for name, mask in ends.items()},
            "epochs_per_step": self.settings["batch_size"] / len(self.splits["train"][1]),
            "device": self.device.type,
            "threads": self._threads(),
            "networks": [network for part in finished for network in part.results],
        }
        return Trained(_joined([part.weights for part in finished], start), ends, result, kept)

    def _at_once(self, stackable: bool, count: int) -> int:
        """Return how many networks train at the same time: a stack on a GPU, one for each worker on a CPU."""
        if self.device.type == "cuda":
            return count if stackable else 1
        return min(max(1, cores() // self._threads()), count)

    def _threads(self) -> int:
        return self.settings["threads"] or cores()

    def _checkpoint(
        self,
        cell: str,
        group: range,
        start: Weights,
        masks: Masks,
        each: list[dict[str, Any]],
        course: Course,
    ) -> checkpoints.Checkpoint:
        decisive = {
            "study": self.block,
            "course": course._asdict(),
            "runs": each[group.start : group.stop],
            "data": self.data_key,
            "device": self.device.type,
            "cores": cores() if self.settings["threads"] is None else None,
        }
        arrays = [
            {name: values[group.start : group.stop] for name, values in part.items()}
            for part in (start, masks)
        ]
        path = self._folder(cell) / f"{group.start}-{group.stop - 1}.safetensors"
        return checkpoints.Checkpoint(path, checkpoints.key(decisive, *arrays), self.checkpoint_seconds)

    def _rewind_step(self) -> int:
        """Return the step nearest to `rewind`, which may count epochs: passes over the training split."""
        rewind: int | str = self.block["rewind"]
        if isinstance(rewind, int):
            return rewind
        per_epoch: float = len(self.splits["train"][1]) / self.settings["batch_size"]
        step = round(float(rewind.split()[0]) * per_epoch)
        if step >= self.settings["steps"]:
            raise InputError(
                f"studies.{self.name}.rewind is {rewind}, step {step} with {per_epoch:.1f} steps an epoch, "
                f"and the training has {self.settings['steps']} steps: it must be earlier."
            )
        return step

    def _folder(self, cell: str) -> Path:
        return self.unfinished / self.name / cell

    def _check(self, start: Weights, masks: Masks) -> None:
        count = len(next(iter(start.values())))
        expected = {name: (count, *tensor.shape) for name, tensor in self.model.state_dict().items()}
        found = {name: values.shape for name, values in start.items()}
        masked = {name: mask.shape for name, mask in masks.items()}
        fits = found == expected and masked == {name: expected[name] for name in models.prunable(self.model)}
        if not fits or count % self.replicates:
            raise InputError(
                f"study {self.name}: the start values or masks are of another model, input size or number of "
                "replicates: run the stages from `train` on again."
            )

    def _check_memory(self, count: int) -> None:
        """Refuse more networks than memory holds, before hours of work are lost to the kernel's killer."""
        network = 4 * sum(tensor.numel() for tensor in self.model.state_dict().values())
        # Of every network start values, trained values (twice, while they are gathered), values kept on the
        # way and masks; of those that train at once also weights, gradients, two moments, the early stop's
        # weights, values kept and masks.
        needed = network * (5 * count + 9 * self._at_once(True, count))
        free = psutil.virtual_memory().available
        if needed > free:
            raise InputError(
                f"study {self.name}: {count} networks need about {needed / 1e9:.1f} GB of memory and "
                f"{free / 1e9:.1f} GB are free: lower studies.{self.name}.replicates or reinits."
            )


def _part(arrays: Weights | Masks, group: range) -> dict[str, Tensor]:
    return {name: torch.from_numpy(values[group.start : group.stop]) for name, values in arrays.items()}


def _joined(parts: list[dict[str, Any]], names: Iterable[str]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def _stack(states: list[dict[str, Tensor]]) -> Weights:
    return {name: np.stack([state[name].numpy() for state in states]) for name in states[0]}
