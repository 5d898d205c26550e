"""Sizes of the GPU benchmark, and what it trains."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch

from bench import light_cnn, prunet_loop
from bench.half_units import PUBLISHED
from prunet.models.built_in import MODELS
from prunet.models.inputs import Shape
from prunet.training.augmentation import VISIBLE


class Sizes(NamedTuple):
    """Size of the measurements.

    Attributes:
        side: pixels a side; larger images of a model's usual shape are cut to it.
        checked: images of a batch in the checks, which train every model for `check_steps`.
        check_steps: an even number.
        images: of the three splits of the LeNets.
        steps: of a measured training of LeNets, which evaluates every `eval_every` steps.
        eval_every: steps.
        rounds: of the study.
        convolutional_steps: of a measured training of a convolutional network.
        batch: images of such a training.
        inference: images of the batches whose inference is measured.
        seconds: for one form of a network and one batch.
        matrix: side of the matrices whose product is the peak, and of the linear layer that suits 2:4.
        tests: files that pytest runs.
    """

    side: int = 224
    checked: int = 8
    check_steps: int = 6
    images: tuple[int, int, int] = (55_000, 5_000, 10_000)
    steps: int = 2000
    eval_every: int = 100
    rounds: int = 20
    convolutional_steps: int = 40
    batch: int = 128
    inference: tuple[int, ...] = (1, 64)
    seconds: float = 0.5
    matrix: int = 8192
    tests: tuple[str, ...] = (
        *("test_memory", "test_structure", "test_trainer", "test_cell_reuse", "test_models_training"),
        *("test_recalibration", "test_streams"),
    )


QUICK = Sizes(64, 2, 2, (600, 60, 60), 4, 2, 1, 4, 2, (1, 2), 0.001, 64, ("test_memory",))


def shape_of(name: str, sizes: Sizes) -> tuple[Shape, int]:
    """Return the image shape (C, H, W) of a built-in model and its number of classes."""
    (channels, side, _), classes = PUBLISHED[name]
    side = min(side, sizes.side)
    return (channels, side, side), classes


def job(name: str, sizes: Sizes, device: torch.device, **settings: Any) -> prunet_loop.Job:
    """Return a training of a built-in model on noise, which hardly evaluates."""
    settings = light_cnn.TRAINING | {"augment": "none"} | settings
    shape, classes = shape_of(name, sizes)
    side = round(shape[-1] / VISIBLE[settings["augment"]])
    rng = torch.Generator().manual_seed(0)
    splits = {
        split: (
            torch.randn(count, shape[0], side, side, generator=rng).to(device),
            torch.arange(count, device=device) % classes,
        )
        for split, count in {"train": 4 * settings["batch_size"], "val": 8, "test": 8}.items()
    }
    work = prunet_loop.job(MODELS[name](shape, classes), splits, settings)
    work.model.to(device)
    return work


def step_ms(work: prunet_loop.Job) -> float:
    """Return milliseconds per step, evaluations included, of all steps after the first evaluation."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        times = [time.perf_counter() for _ in prunet_loop.train(work, path)]
    steps = int(work.settings["steps"] - work.settings["eval_every"])
    return 1000 * (times[-1] - times[1]) / steps
