"""Runs whose cost is measured: studies on noise, wide networks, empty stages of DVC, a Ray cluster."""

import contextlib
import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import psutil
import torch
from torch import nn

from bench import lenet, prunet_loop, study
from prunet.base.processes import cores
from prunet.cells import storage
from prunet.cells.masks import Masks, Weights
from prunet.pruning.removal import remove_lowest
from prunet.training import cluster

SHAPE, CLASSES = (1, 28, 28), 10
IMAGES = 600  # of the training split, where their number does not matter
SHORT = 2  # steps of a training that is hardly more than its overhead
RATE = 0.2  # of the weights that each round removes
OFFLINE = "[core]\n    no_scm = True\n    analytics = false\n    check_update = false\n"
STAGE = "  stage_{0}:\n    cmd: echo {0} > out_{0}\n    outs: [out_{0}]\n"


class Cost(NamedTuple):
    """Wall-clock `seconds`, and `megabytes` of memory at the peak, beyond those at the start."""

    seconds: float
    megabytes: float


def spent(task: Callable[[], None]) -> Cost:
    """Run a task in this process, which should have measured nothing before; return its cost."""
    with contextlib.redirect_stderr(io.StringIO()):  # warnings that so short a training learns nothing
        chain(SHORT, 1, workers=cores())  # loads modules and libraries
        before, began = psutil.Process().memory_info().rss, time.perf_counter()
        task()
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(time.perf_counter() - began, max(peak - before, 1) / 1e6)


def chain(steps: int, networks: int, rounds: int = 1, images: int = IMAGES, workers: int = 1) -> None:
    """Train LeNets round after round, each under smaller masks, as the stages `train` and `prune` do."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:workers])
    data = study.noise(SHAPE, CLASSES, (images, 10 * CLASSES, 10 * CLASSES))
    with TemporaryDirectory() as folder:
        trainer = study.trainer(Path(folder), data, replicates=networks, steps=steps, eval_every=steps)
        start, masks = trainer.start_weights(), trainer.dense_masks()
        for number in range(rounds):
            (path,) = trainer.train([study.cell(f"original/{number:02}", start, masks)])
            masks = pruned(*storage.load_network(path))


def pruned(weights: Weights, masks: Masks) -> Masks:
    """Return the masks (N, *shape) without the share `RATE` of each layer's lowest magnitudes."""
    return {
        name: np.stack(
            [
                remove_lowest(np.abs(values).ravel(), own.ravel(), RATE).reshape(own.shape)
                for values, own in zip(weights[name], mask, strict=True)
            ]
        )
        for name, mask in masks.items()
    }


def weights(width: int) -> int:
    """Return the number of weights of the network that `wide` trains."""
    return SHAPE[1] * SHAPE[2] * width + width * width + width * CLASSES


def wide(width: int, steps: int) -> None:
    """Train a fully connected network with two hidden layers of this width."""
    pixels = SHAPE[1] * SHAPE[2]
    model = nn.Sequential(
        *(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()),
        nn.Linear(width, CLASSES),
    )
    images, labels = torch.rand(IMAGES, *SHAPE), torch.arange(IMAGES) % CLASSES
    splits = dict.fromkeys(("train", "val", "test"), (images, labels))
    settings = lenet.TRAINING | {"steps": steps, "eval_every": steps}
    with TemporaryDirectory() as folder:
        work = prunet_loop.job(model, splits, settings)
        list(prunet_loop.train(work, Path(folder) / "run.safetensors"))


def more_stages(count: int, again: bool = False) -> Cost:
    """Return what `count` empty stages add to a `dvc repro` of one; with `again`, when none has to run."""
    return Cost(max(repro(1 + count, again) - repro(1, again), 0.001), 0.0)


def repro(count: int, again: bool) -> float:
    """Return the seconds of `dvc repro` of `count` empty stages; with `again`, when none has to run."""
    dvc = [sys.executable, "-m", "dvc"]
    with TemporaryDirectory() as folder:
        text = "stages:\n" + "".join(STAGE.format(number) for number in range(count))
        (Path(folder) / "dvc.yaml").write_text(text)
        subprocess.run([*dvc, "init", "--no-scm", "-q"], cwd=folder, check=True)
        (Path(folder) / ".dvc/config").write_text(OFFLINE)
        if again:
            subprocess.run([*dvc, "repro", "-q"], cwd=folder, check=True)
        began = time.perf_counter()
        subprocess.run([*dvc, "repro", "-q"], cwd=folder, check=True)
        return time.perf_counter() - began


def start_of_a_stage() -> float:
    """Return the seconds that a stage takes before it does anything: Python, its modules, its end."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "stages.train", "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def on_ray(sizes: Sequence[int]) -> dict[int, Cost]:
    """Return {networks: cost} of studies on a Ray cluster of this machine alone, with one core.

    The start of the cluster and of its first process is not part of it.
    """
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    os.environ[cluster.ADDRESS] = made.address
    try:
        return {networks: spent(partial(chain, SHORT, networks)) for networks in sizes}
    finally:
        ray.shutdown()
        made.shutdown()
