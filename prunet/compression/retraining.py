"""Networks of any architecture, trained again as their study trains."""

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.cells.masks import Weights
from prunet.compression import int8_training, shared_values
from prunet.compression.steps import Networks
from prunet.deployment.metadata import Storage
from prunet.training.batches import Split
from prunet.training.cells import Cell, Job, key
from prunet.training.trainer import Trainer

CODE = ("prunet/compression", "prunet/deployment/codebook.py")

# Splits, pixels a side, settings and seeds, as of `shared_values.train`.
Given = tuple[Mapping[str, Split], int, Mapping[str, Any], Mapping[str, int]]


class Retraining:
    """The training of a study, for networks that steps have changed.

    Args:
        study: its block of params.yaml, with its `name`.
        data: its data set.
        teachers: weights (R, *shape) of the dense networks.
        checkpoints: folder for checkpoints and finished networks.
        seconds: between two checkpoints.
        settings: the block `compress` of params.yaml.
        inputs: digests of the files that the first networks come from.
    """

    def __init__(
        self,
        study: Mapping[str, Any],
        data: dict[str, Any],
        teachers: Weights,
        checkpoints: Path,
        seconds: float,
        settings: Mapping[str, Any],
        inputs: Sequence[str],
    ) -> None:
        training = dict(study["training"]) | {"distill": settings["distill"]}
        self._study, self._data, self._teachers = dict(study) | {"training": training}, data, teachers
        self._checkpoints, self._seconds = checkpoints, seconds
        self._settings, self._inputs = settings, inputs

    def _trainer(self, networks: Networks) -> Trainer:
        build = partial(copy.deepcopy, networks.model)
        return Trainer(self._study, self._data, self._checkpoints, self._seconds, build)

    def train(self, networks: Networks, taught: bool, steps: Sequence[str]) -> Networks:
        """Train networks again for as many steps as the study trains, with its learning rates from the first.

        A finished training is reused while nothing changes that decides it.

        Args:
            networks: to start from.
            taught: whether the dense networks teach them.
            steps: those that led here, this one included.

        Raises:
            InputError: see `Trainer.train`.
        """
        trainer = self._trainer(networks)
        teachers = self._teachers if taught else None
        job = Job(
            networks.weights, networks.masks, ("init",), whole_units=networks.whole_units, teachers=teachers
        )
        found = key(self._study | {"compress": self._settings, "steps": list(steps)}, self._inputs, CODE)
        (folder,) = trainer.train(
            [Cell(f"compress/{'+'.join(steps)}", found, networks.replicates, lambda: job)]
        )
        weights, masks = storage.load_network(folder)
        return networks._replace(weights=weights, masks=masks)

    def share_values(self, networks: Networks, storage: Storage) -> Networks:
        """Train the values that weights of a layer share for one epoch (Han et al. 2016, section 3)."""
        trainer = self._trainer(networks)

        def train(number: int, given: Given) -> Weights:
            weights, masks = networks.one(number)
            return shared_values.train(trainer.network, weights, masks, *given, storage)[0]

        return _each(networks, "shared-values", trainer, train)

    def train_int8(self, networks: Networks, calibration: Iterable[Tensor]) -> Networks:
        """Train with the arithmetic of an int8 file for one epoch (`int8_training.train`).

        Args:
            networks: to start from.
            calibration: prepared images, which give the ranges of activations.
        """
        trainer = self._trainer(networks)
        masks = networks.masks | (trainer.dependents(networks.masks) if networks.whole_units else {})
        rest = list(calibration), self._settings["percentile"], self._settings["ends"]

        def train(number: int, given: Given) -> Weights:
            weights, own = networks._replace(masks=masks).one(number)
            return int8_training.train(networks.model, weights, own, *given, *rest)[0]

        return _each(networks, "int8-train", trainer, train)


def _each(
    networks: Networks, step: str, trainer: Trainer, train: Callable[[int, Given], Weights]
) -> Networks:
    """Return networks that were trained one by one, for an epoch.

    Args:
        networks: to start from.
        step: its name, for the seeds.
        trainer: of the networks.
        train: trains one, of this number.
    """
    images = len(trainer.splits["train"][1])
    epoch = {"steps": -(-images // trainer.settings["batch_size"]), "schedule": "cosine", "warmup": 0}
    # A tenth of the study's rate: networks are trained already, and shared values have many gradients.
    settings = trainer.settings | epoch | {"lr": trainer.settings["lr"] / 10}

    def task(number: int) -> Iterator[Weights]:
        seeds = {
            purpose: derive(trainer.seed, trainer.name, step, purpose, number)
            for purpose in ("order", "augment", "dropout")
        }
        yield train(number, (trainer.splits, trainer.size, settings, seeds))

    done = trainer.run([partial(task, number) for number in range(networks.replicates)])
    found = {number: weights for number, weights in done if weights is not None}
    stacked = {name: np.stack([found[n][name] for n in sorted(found)]) for name in networks.weights}
    return networks._replace(weights=stacked)
