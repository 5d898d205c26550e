"""Networks of any architecture, trained again as their study trains."""

import copy
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.cells.masks import Weights
from prunet.compression import shared_values
from prunet.compression.steps import Networks
from prunet.training.cells import Cell, Job, key
from prunet.training.trainer import Trainer

CODE = ("prunet/compression", "prunet/deployment/codebook.py")


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

    def share_values(self, networks: Networks, bits: int) -> Networks:
        """Train the values that weights of a layer share for one epoch (Han et al. 2016, section 3)."""
        trainer = self._trainer(networks)
        images = len(trainer.splits["train"][1])
        epoch = {"steps": -(-images // trainer.settings["batch_size"]), "schedule": "cosine", "warmup": 0}
        # Each value moves with the gradients of all its weights: a tenth of the rate of a single weight.
        settings = trainer.settings | epoch | {"lr": trainer.settings["lr"] / 10}
        found = []
        for number in range(networks.replicates):
            seeds = {
                purpose: derive(trainer.seed, trainer.name, "shared-values", purpose, number)
                for purpose in ("order", "augment", "dropout")
            }
            given = trainer.network, *networks.one(number), trainer.splits, trainer.size
            found.append(shared_values.train(*given, settings, seeds, bits, biases=True)[0])
        return networks._replace(
            weights={name: np.stack([one[name] for one in found]) for name in networks.weights}
        )
