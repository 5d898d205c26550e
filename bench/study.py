"""A study on noise: its trainer and its cells, without params.yaml."""

from pathlib import Path
from typing import Any

import numpy as np

from bench import lenet
from prunet.cells.masks import Masks, Weights
from prunet.training.cells import Cell, Job
from prunet.training.trainer import Trainer


def noise(shape: tuple[int, int, int], classes: int, counts: tuple[int, int, int]) -> dict[str, Any]:
    """Draw a data set of images (C, H, W) and labels; `counts` are the images of each split."""
    rng, count = np.random.default_rng(0), sum(counts)
    return {
        "images": rng.integers(0, 256, (count, *shape), np.uint8),
        "labels": np.arange(count) % classes,
        "split": np.repeat(np.arange(3, dtype=np.uint8), counts),
        "class_names": [str(number) for number in range(classes)],
    }


def trainer(
    folder: Path, data: dict[str, Any], model: str = "lenet-300-100", replicates: int = 1, **training: Any
) -> Trainer:
    """Return a trainer of a model for a data set, with checkpoints in a folder."""
    study = {"name": "bench", "seed": 0, "attention": "heads", "model": model, "weights": "none"}
    study |= {"head": "keep", "init": "glorot", "input_size": None, "interpolation": "bilinear"}
    study |= {"normalise": None, "replicates": replicates, "rewind": 0, "training": lenet.TRAINING | training}
    return Trainer(study, data, folder)


def cell(name: str, weights: Weights, masks: Masks) -> Cell:
    """Return the cell of networks that start from `weights` under `masks`, (N, *shape) each."""
    job = Job(weights, masks, ("init",))
    return Cell(name, name, len(next(iter(weights.values()))), lambda: job)
