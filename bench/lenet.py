"""LeNet-300-100 on images of MNIST's shape: steps and whole rounds, against a plain loop."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch

from bench import machine, plain_loop, prunet_loop
from bench.machine import Found
from prunet.base.processes import cores
from prunet.data.images.dataset import SPLITS
from prunet.models import built_in as models
from prunet.training import batches

SHAPE = (1, 28, 28)
CLASSES = 10
TRAINING = prunet_loop.PLAIN | {"lr": 0.0012, "batch_size": 60, "threads": 1}


class Sizes(NamedTuple):
    """Size of the measurement."""

    images: tuple[int, int, int] = (55_000, 5_000, 10_000)  # of the splits
    steps: int = 2000  # of prunet, without evaluations
    plain_steps: int = 200  # of the plain loop, without evaluations
    round_steps: int = 2000
    long_steps: int = 15_000  # of a round of the published study, for its share of evaluations
    eval_every: int = 100  # of a round
    warm_up: int = 20  # steps that do not count
    repeats: int = 3


QUICK = Sizes(
    (600, 60, 60), steps=20, plain_steps=6, round_steps=10, long_steps=20, eval_every=5, warm_up=2, repeats=2
)


def measure(quick: bool, threads: int) -> tuple[dict[str, float], Found]:
    """Measure steps and rounds of prunet and of the plain loop, which uses `threads` threads."""
    sizes = QUICK if quick else Sizes()
    data, processes = noise(sizes), cores()
    steps, rounds = jobs(data, sizes)
    long = rounds._replace(settings=rounds.settings | {"steps": sizes.long_steps})
    masks = {name: mask[0] for name, mask in rounds.masks.items()}
    plain_splits = {
        name: plain_loop.Digits(
            *(torch.from_numpy(data[part][data["split"] == side]) for part in ("images", "labels"))
        )
        for side, name in enumerate(SPLITS)
    }
    plain = rounds.model, masks, plain_splits
    plain_steps = TRAINING | {"steps": sizes.plain_steps, "eval_every": sizes.plain_steps}
    plain_step = partial(plain_loop.step_ms, *plain, plain_steps, min(sizes.warm_up, sizes.plain_steps - 2))
    found = machine.alternate(
        {
            "fp32_roofline_gflops": lambda: machine.roofline(torch.float32),
            "step_ms": lambda: prunet_loop.step_ms(steps, processes, 1, sizes.warm_up),
            "step_alone_ms": lambda: prunet_loop.step_ms(steps, 1, processes, sizes.warm_up),
            "plain_step_ms": lambda: machine.apart(plain_step, threads),
            "round_ms_per_step": lambda: prunet_loop.round_ms(rounds, processes, 1),
            "long_round_ms_per_step": lambda: prunet_loop.round_ms(long, processes, 1),
            "plain_round_ms_per_step": lambda: machine.apart(
                partial(plain_loop.round_ms, *plain, rounds.settings), threads
            ),
        },
        sizes.repeats,
    )
    return derived(machine.medians(found), rounds), found


def derived(values: dict[str, float], rounds: prunet_loop.Job) -> dict[str, float]:
    """Return the medians, with the ratios that have targets."""
    gflop = TRAINING["batch_size"] * machine.training_gflop(rounds.model, SHAPE)
    peak_ms = 1000 * gflop / values["fp32_roofline_gflops"]  # of a step at the roofline
    step, round_step = values["step_ms"], values["round_ms_per_step"]
    return values | {
        "step_gflop": gflop,
        "step_share_of_roofline": peak_ms / step,
        "step_alone_share_of_roofline": peak_ms / values["step_alone_ms"],
        "step_speedup_over_plain_loop": values["plain_step_ms"] / step,
        "round_steps": rounds.settings["steps"],
        "round_speedup_over_plain_loop": values["plain_round_ms_per_step"] / round_step,
        "evaluation_share_of_training": (values["long_round_ms_per_step"] - step) / step,
    }


def noise(sizes: Sizes) -> dict[str, Any]:
    """Draw a data set of MNIST's shape."""
    rng = np.random.default_rng(0)
    count = sum(sizes.images)
    return {
        "images": rng.integers(0, 256, (count, *SHAPE), np.uint8),
        "labels": np.arange(count) % CLASSES,
        "split": np.repeat(np.arange(3, dtype=np.uint8), sizes.images),
    }


def jobs(
    data: dict[str, Any], sizes: Sizes, count: int = 1, device: str = "cpu"
) -> tuple[prunet_loop.Job, prunet_loop.Job]:
    """Return a training run of `count` networks that hardly evaluates, and one with all evaluations."""
    splits = batches.to_device(data, None, "none", torch.device(device))
    few = {name: batches.take(split, torch.arange(10)) for name, split in splits.items()}
    bare = {"train": splits["train"], "val": few["val"], "test": few["test"]}
    model = models.MODELS["lenet-300-100"](SHAPE, CLASSES)
    steps = TRAINING | {"steps": sizes.steps, "eval_every": sizes.steps}
    rounds = TRAINING | {"steps": sizes.round_steps, "eval_every": sizes.eval_every}
    return prunet_loop.job(model, bare, steps, count), prunet_loop.job(model, splits, rounds, count)


def profile() -> None:
    """Print the time of each operator in a training run on one core."""
    sizes = Sizes(steps=300)
    steps, _ = jobs(noise(sizes), sizes)

    def show() -> None:
        with TemporaryDirectory() as folder, torch.profiler.profile() as record:
            list(prunet_loop.train(steps, Path(folder) / "0.safetensors"))
        print(record.key_averages().table(sort_by="self_cpu_time_total", row_limit=15))

    machine.apart(show, 1)
