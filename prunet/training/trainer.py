"""A study's model and data on the device, ready to train any number of cells."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch import Tensor, nn

from prunet.base.errors import InputError
from prunet.base.files import read_json
from prunet.base.processes import cores
from prunet.cells.masks import Masks, Weights
from prunet.data.images.image_files import Files
from prunet.models import built_in, heads, loading, sources
from prunet.models import weights as loaded_weights
from prunet.models.state import state
from prunet.structure import masks as unit_masks
from prunet.structure.finding import Units, find_units
from prunet.training import (
    batches,
    cluster,
    convergence,
    evaluation,
    gradients,
    groups,
    launch,
    live,
    loop,
    memory,
    outcomes,
    runs,
    workers,
)
from prunet.training.cells import Cell, Job, find, processor
from prunet.training.checkpoints import Checkpoint
from prunet.training.distillation import Teachers
from prunet.training.gradients import Network
from prunet.training.groups import Given, Group
from prunet.training.pixels import Moments
from prunet.training.plan import TrainingPlan
from prunet.training.state import Point


class Trainer:
    """A study's model and data, ready to train any number of cells.

    Args:
        study: the study's block of params.yaml, with its `name`, the pipeline's `seed` and `prune.attention`.
        data: a dataset as `prunet.data.images.dataset.load` returns it.
        checkpoints: folder for the study's checkpoints and finished cells.
        checkpoint_seconds: between two checkpoints of a training run.
        build: returns a network to train in place of the study's, such as one whose layers have two parts.

    Attributes:
        build: returns the model, new at every call, on the CPU.
        rewind: the step of the dense training that schemes go back to.

    Raises:
        InputError: the data do not fit the model or the GPU's memory, or `rewind` is not before the end of
            the training.
    """

    def __init__(
        self,
        study: dict[str, Any],
        data: dict[str, Any],
        checkpoints: Path = Path(".checkpoints"),
        checkpoint_seconds: float = 20,
        build: Callable[[], nn.Module] | None = None,
    ) -> None:
        self.study, self.name, self.seed = study, study["name"], study["seed"]
        self.replicates, self.settings = study["replicates"], study["training"]
        self.folder, self.checkpoint_seconds = checkpoints / self.name, checkpoint_seconds
        self.device, self._ranks = loop.device(), self.settings["ranks"]
        augment = self.settings["augment"]
        self._data = _anywhere(data)
        with memory.for_images(self.name):
            self.splits = batches.to_device(
                data, study["input_size"], augment, self.device, study["normalise"], study["interpolation"]
            )
        self._moments: tuple[Moments, Moments] | None = None
        if augment == "rand-augment":
            prepared = batches.preparation(
                data, study["input_size"], augment, study["normalise"], study["interpolation"]
            )
            self._moments = prepared["mean"], prepared["std"]
        self.shape = batches.input_shape(self.splits, augment)
        self.size = self.shape[-1]
        classes = len(data["class_names"])
        self._build_whole = partial(loading.build_for, study, self.shape, classes)
        self.build, self._given_build = build or self._build_whole, build
        model = self.build()
        loading.check(study["model"], model, self.shape, classes)
        self.model = model.to(self.device)
        self.rewind = self.step_of(study["rewind"], f"studies.{self.name}.rewind")

    def initial_weights(self, *purpose: str, reinits: int = 1) -> Weights:
        """Draw weights as the study's `init` says, (R x reinits, *shape), from seeds for this purpose.

        The draws of one replicate are adjacent.

        Raises:
            InputError: there is not enough memory for so many networks.
        """
        count = self.replicates * reinits
        network = 4 * sum(tensor.numel() for tensor in state(self.model).values())
        memory.check(self.name, network, count, 0 if self.device.type == "cuda" else self._at_once())
        seeds = runs.initial_seeds(self.seed, self.name, purpose, self.replicates, count)
        drawn = [built_in.initial_weights(self.build, seed, self.study["init"]) for seed in seeds]
        return {name: np.stack([tensors[name].numpy() for tensors in drawn]) for name in drawn[0]}

    def start_weights(self) -> Weights:
        """Return the weights of step 0, (R, *shape): the study's `weights`, drawn where they have none.

        Raises:
            InputError: the study's weights cannot be read or do not fit the model.
        """
        drawn = self.initial_weights("init")
        loaded = loaded_weights.load(self.study, self.model, self.shape)
        return drawn | {name: np.stack([tensor.numpy()] * self.replicates) for name, tensor in loaded.items()}

    def dense_masks(self) -> Masks:
        """Return the masks before the first round, (R, *shape) for each layer: everything survives."""
        return {
            name: np.ones((self.replicates, *self.model.get_parameter(name).shape), bool)
            for name in built_in.prunable(self.model)
        }

    def dense_plan(self, keep: int | None = None) -> TrainingPlan:
        """Return the plan of the dense training, with the study's penalties; `keep` as in `TrainingPlan`."""
        strength = self.settings["group_lasso"]
        return TrainingPlan(
            keep=keep,
            group_lasso=strength,
            units=tuple(unit_masks.coupled(self.units)[0].values()) if strength else (),
            scale_l1=self.settings["scale_l1"],
        )

    @cached_property
    def units(self) -> Units:
        """The units of the model that go together."""
        example = torch.zeros(2, *self.shape, device=self.device)
        return find_units(self.model, example, self.study["attention"])

    def dependents(self, masks: Masks) -> Masks:
        """Return the masks (N, out) of biases and norms that go with removed units (`masks.dependents`)."""
        return unit_masks.dependents(self.units, masks)

    def step_of(self, time: int | str, setting: str) -> int:
        """Return the step nearest to a time, which may count epochs: passes over the training split.

        Args:
            time: a step, or e.g. "2 epochs".
            setting: its name in params.yaml, for messages.

        Raises:
            InputError: epochs that are not over before the end of the training.
        """
        if isinstance(time, int):
            return time
        per_epoch: float = len(self.splits["train"][1]) / self.settings["batch_size"]
        step = round(float(time.split()[0]) * per_epoch)
        if step >= self.settings["steps"]:
            raise InputError(
                f"{setting} is {time}, step {step} with {per_epoch:.1f} steps an epoch, and the training has "
                f"{self.settings['steps']} steps: give an earlier time."
            )
        return step

    def evaluate(self, weights: Mapping[str, Tensor], split: str) -> tuple[float, float]:
        """Return the mean cross-entropy (nats) and accuracy (0 to 1) of one network on a split.

        With the setting `recalibrate`, the running statistics of norms are measured anew on training images
        first, as before every evaluation in a training. Networks that were not trained as they are need it:
        pruned ones, and those between two others, whose averaged statistics fit neither.

        Args:
            weights: (*shape) of every tensor; they are not changed.
            split: `train`, `val` or `test`.
        """
        stack = {name: tensor.to(self.device, copy=True)[None] for name, tensor in weights.items()}
        evaluation.recalibrate(self.network, stack, self.splits["train"], self.size, self.settings)
        losses, accuracies = evaluation.evaluate(self.network, stack, self.splits[split], self.size)
        return losses[0], accuracies[0]

    @cached_property
    def network(self) -> Network:
        """Functions that compute logits and gradients of the model."""
        return gradients.network(self.model, self.settings)

    @cached_property
    def _teacher(self) -> tuple[nn.Module, Network]:
        """The study's own network, whatever the model is, and its functions."""
        whole = self._build_whole().to(self.device)
        return whole, gradients.network(whole, self.settings)

    def check_masks(self, masks: Masks, networks: int | None = None) -> None:
        """Refuse masks that do not fit the model's layers and the number of networks (default: replicates).

        Raises:
            InputError: a layer is missing or unknown, or its mask has another shape.
        """
        count = networks or self.replicates
        layers = {name: self.model.get_parameter(name) for name in built_in.prunable(self.model)}
        self._compare(masks, {name: (count, *weight.shape) for name, weight in layers.items()})

    def train(self, cells: Sequence[Cell], reuse: Sequence[Path] = ()) -> list[Path]:
        """Train every cell that is not finished yet, all networks side by side; return the cells' folders.

        Data order, augmentation and dropout of a replicate are the same in every round and scheme, so that
        cells differ in masks and start values alone. A run that was killed resumes from its last checkpoint,
        to the same bits, and a finished cell whose key has not changed is reused. A warning says if most of
        the networks were trained too briefly, or most of the dense ones guess.

        On a CPU a network's bits do not depend on those beside it: networks are trained in processes of
        `training.threads` threads. On a GPU fully connected networks are trained as one stack, others one
        after another.

        Args:
            cells: of one study.
            reuse: folders that may hold a finished cell of the same key, besides the checkpoints' own.

        Raises:
            InputError: a loss is no longer finite, or start values or masks do not fit the model.
        """
        own = [self.folder / cell.name for cell in cells]
        found = [
            find(cell.key, [folder, *(other / folder.name for other in reuse)])
            for cell, folder in zip(cells, own, strict=True)
        ]
        missing = [cell for cell, folder in zip(cells, found, strict=True) if folder is None]
        together = self.network.stackable and self._ranks == 1 and self._on_gpus()
        divided = groups.divide(missing, together, self.folder / "unfinished", self.checkpoint_seconds)
        names = [group.names for group in divided]
        with live.watching(self.folder / "live.csv", self.name, names, self.settings["steps"]) as curves:
            curves.follow(self._train(divided))
        made = {
            "epochs_per_step": self.settings["batch_size"] / len(self.splits["train"][1]),
            "device": "cuda" if self._on_gpus() else "cpu",
            "torch": torch.__version__,
            "threads": self._threads(),
        }
        outcomes.save(missing, divided, self.folder, made)
        groups.delete_checkpoints(cells, self.folder / "unfinished")
        folders = [before or trained for before, trained in zip(found, own, strict=True)]
        results = [read_json(path / "result.json") for path in folders]
        for warning in convergence.warnings(self.name, self.settings["steps"], results):
            click.echo(warning, err=True)
        return folders

    def _train(self, divided: list[Group]) -> Generator[tuple[int, Any]]:
        """Train every group, on a cluster if there is one, and leave its outcome in its checkpoint.

        Yields:
            The number of a group with its evaluations as they come, and with None when it has finished.
        """
        if divided and cluster.chosen():
            make = partial(Trainer, self.study, build=self._given_build)
            points = [group.checkpoint for group in divided]
            given = [partial(self._given, group) for group in divided]
            own = sources.shipped(self.study["model"])
            each = cluster.Resources(self._threads() * self._ranks, self._ranks if self._on_gpus() else 0)
            yield from cluster.run(make, self._data, own, given, points, each)
        else:
            yield from self.run([partial(self._train_group, group) for group in divided])

    def run(self, tasks: Sequence[workers.Task]) -> Iterator[tuple[int, Any]]:
        """Run tasks in as many processes as networks train in at once on this machine; see `workers.run`."""
        return workers.run(tasks, max(1, min(self._at_once(), len(tasks))), self._threads())

    def _train_group(self, group: Group) -> Iterator[list[Point]]:
        return self.train_group(self._given(group), group.checkpoint)

    def _on_gpus(self) -> bool:
        if cluster.chosen():
            return bool(cluster.connect().get("GPU"))
        return self.device.type == "cuda"

    def _given(self, group: Group) -> Given:
        """Return what a group of networks is trained from.

        Raises:
            InputError: start values or masks do not fit the model.
        """
        jobs = [groups.job(member.cell) for member in group.members]
        for job in jobs:
            self._check(job)
        zeros = [job.masks | self.dependents(job.masks) if job.whole_units else job.masks for job in jobs]
        first = group.members[0].cell
        return Given(
            group.stack([job.weights for job in jobs]),
            group.stack(zeros),
            [
                self._runs(member.cell, job)[member.number]
                for member, job in zip(group.members, jobs, strict=True)
            ],
            jobs[0].plan._replace(head=self._head(), moments=self._moments),
            first.name,
            None if jobs[0].teachers is None else group.stack([job.teachers or {} for job in jobs]),
        )

    def train_group(self, given: Given, checkpoint: Checkpoint) -> Iterator[list[Point]]:
        """Train a group of networks on this machine, by as many ranks as the study has; see `train_stack`."""
        if self._ranks == 1:
            return self.train_stack(given, checkpoint)
        make = partial(Trainer, self.study, self._data, build=self._given_build)
        gpus = self.device.type == "cuda"
        return launch.train(make, given, checkpoint, self._ranks, self._threads(), gpus)

    def train_stack(self, given: Given, checkpoint: Checkpoint) -> Iterator[list[Point]]:
        """Train networks as one stack, on this machine; yield their evaluations (`loop.train`).

        Raises:
            InputError: a loss is no longer finite, or the GPU's memory is full.
        """
        here = [run | {"processor": processor()} for run in given.runs]
        teachers = Teachers(self._teacher[1], given.teachers) if given.teachers else None
        fixed = self.splits, self.size, self.settings, here, checkpoint, given.plan, teachers
        try:
            with memory.for_training(self.name, len(here), self.settings["batch_size"]):
                yield from loop.train(self.network, given.start, given.masks, *fixed)
        except InputError as error:
            raise InputError(f"study {self.name}, {given.cell}: {error.message}") from None

    def _head(self) -> tuple[str, ...]:
        """Return the names of the head's tensors, which `freeze` trains alone; without it, none."""
        if not self.settings["freeze"]:
            return ()
        prefix = heads.prefix(self.model, self.shape)
        return tuple(name for name, _ in self.model.named_parameters() if name.startswith(prefix))

    def _runs(self, cell: Cell, job: Job) -> list[dict[str, Any]]:
        changing = cell.name if job.plan.mask_schedule else None
        return runs.runs(self.seed, self.name, job.drawn_for, self.replicates, cell.networks, changing)

    def _threads(self) -> int:
        return self.settings["threads"] or cores()

    def _at_once(self) -> int:
        """Return how many processes train: on a GPU this one alone, since CUDA does not survive a fork."""
        return 1 if self.device.type == "cuda" else max(1, cores() // (self._threads() * self._ranks))

    def _check(self, job: Job) -> None:
        count = len(next(iter(job.weights.values())))
        expected = {name: (count, *tensor.shape) for name, tensor in state(self.model).items()}
        self._compare(job.weights, expected)
        if job.teachers:
            whole = state(self._teacher[0])
            self._compare(job.teachers, {name: (count, *tensor.shape) for name, tensor in whole.items()})
        self.check_masks(job.masks, count)

    def _compare(self, arrays: dict[str, Any], expected: dict[str, tuple[int, ...]]) -> None:
        count = len(next(iter(arrays.values())))
        if {name: array.shape for name, array in arrays.items()} != expected or count % self.replicates:
            raise InputError(
                "start values or masks belong to another model, input size or number of replicates; run the "
                "stages again, starting with `train`."
            )


def _anywhere(data: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset whose image files are found from any working folder."""
    images = data["images"]
    if isinstance(images, Files):
        images = replace(images, folder=str(Path(images.folder).absolute()))
    return data | {"images": images}
