"""Training runs of prunet, timed from outside."""

import copy
import math
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from bench import machine
from prunet.base import files
from prunet.models import built_in as models
from prunet.training import batches, gradients, loop, workers
from prunet.training.checkpoints import Checkpoint
from prunet.training.vectors import Stack

DENSITY = 0.2  # share of the weights that survive
PLAIN: dict[str, Any] = {  # training settings with every extra off; benchmarks add their own
    "optimizer": "adam",
    "schedule": "constant",
    "milestones": [],
    "decay": 0.1,
    "warmup": 0,
    "momentum": 0.0,
    "nesterov": False,
    "weight_decay": 0.0,
    "clip_norm": 0.0,
    "ema": 0.0,
    "recalibrate": 0,
    "freeze": 0,
    "distill": {"share": 0.0, "temperature": 4.0},
    "label_smoothing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "group_lasso": 0.0,
    "scale_l1": 0.0,
    "augment": "none",
    "dtype": "float32",
    "channels_last": False,
    "threads": None,
    "ranks": 1,
}


class Job(NamedTuple):
    """The arguments of prunet's `loop.train`: one training run of a stack of networks."""

    model: nn.Module
    start: Stack
    masks: Stack
    splits: Mapping[str, batches.Split]
    settings: dict[str, Any]


def job(
    model: nn.Module, splits: Mapping[str, batches.Split], settings: dict[str, Any], count: int = 1
) -> Job:
    """Draw start values and random masks for a stack of `count` equal networks."""
    start = models.initial_weights(partial(copy.deepcopy, model), 0, "glorot")
    rng = torch.Generator().manual_seed(0)
    masks = {name: torch.rand(start[name].shape, generator=rng) < DENSITY for name in models.prunable(model)}

    def stack(named: dict[str, Tensor]) -> Stack:
        return {name: torch.stack([tensor] * count) for name, tensor in named.items()}

    return Job(model, stack(start), stack(masks), splits, settings)


def run(work: Job, count: int, side_by_side: int, threads: int) -> tuple[float, list[list[float]]]:
    """Train `count` times; return the seconds of all runs, and the start times (s) of each run's steps."""
    with TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{number}.safetensors" for number in range(count)]
        tasks = [partial(train, work, path) for path in paths]
        began = time.perf_counter()
        list(workers.run(tasks, side_by_side, threads))
        seconds = time.perf_counter() - began
        return seconds, [files.read_json(path.with_suffix(".json"))["began"] for path in paths]


def train(work: Job, path: Path) -> Iterator[Any]:
    """Train; write the outcome to the checkpoint `path` and the start times to a JSON file next to it."""
    loop.device()  # configures PyTorch as in a stage
    network = gradients.network(work.model, work.settings)
    began: list[float] = []

    def timed(*arguments: Any) -> None:
        began.append(time.perf_counter())
        network.gradients(*arguments)

    runs = [
        {"replicate": number, "seeds": {"order": number, "augment": number, "dropout": number}}
        for number in range(len(next(iter(work.start.values()))))
    ]
    size = batches.input_shape(dict(work.splits), work.settings["augment"])[-1]
    checkpoint = Checkpoint(path, "bench", math.inf)
    timed_network = network._replace(gradients=timed)
    given = work.start, work.masks, work.splits, size, work.settings, runs, checkpoint
    yield from loop.train(timed_network, *given)
    files.write_json(path.with_suffix(".json"), {"began": began})


def step_ms(work: Job, side_by_side: int, threads: int, warm_up: int) -> float:
    """Return milliseconds per step of runs side by side: the time of a step divided by their number."""
    _, began = machine.apart(partial(run, work, side_by_side, side_by_side, threads), 1)
    return sum(machine.step_ms(times, warm_up) for times in began) / side_by_side**2


def round_ms(work: Job, side_by_side: int, threads: int) -> float:
    """Return milliseconds per step of whole runs side by side, evaluations, forks and files included."""
    seconds, _ = machine.apart(partial(run, work, side_by_side, side_by_side, threads), 1)
    return float(1000 * seconds / side_by_side / work.settings["steps"])
