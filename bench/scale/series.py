"""Runs of growing size, whose cost should grow in a known way."""

import importlib.util
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from bench import machine
from bench.scale import runs
from bench.scale.runs import SHORT, Cost

BATCH = 60  # images
STAGES = "more empty stages of `dvc repro`"
HERE, ON_RAY = f"networks of {SHORT} steps", f"networks of {SHORT} steps, on Ray"
AT_A_TIME = {workers: f"networks, {workers} at a time" for workers in (1, 2)}

Task = Callable[[], Cost]


class Sizes(NamedTuple):
    """Sizes of the measurements.

    Attributes:
        networks: LeNets of a study.
        short: LeNets of a study that are trained for `SHORT` steps.
        rounds: of a chain of one LeNet.
        images: of the training split, each of which a LeNet sees once.
        widths: of the two hidden layers of a fully connected network.
        stages: of an empty pipeline, besides the first.
        on_ray: LeNets that are trained for `SHORT` steps on a Ray cluster.
        steps: of the training of a LeNet.
        wide_steps: of the training of a fully connected network.
        repeats: of every measurement.
    """

    networks: tuple[int, ...] = (2, 4, 8, 16)
    short: tuple[int, ...] = (4, 8, 16, 32)
    rounds: tuple[int, ...] = (1, 2, 4, 8)
    images: tuple[int, ...] = (6_000, 12_000, 24_000, 48_000)
    widths: tuple[int, ...] = (500, 1000, 2000, 4000)
    stages: tuple[int, ...] = (10, 20, 40, 80)
    on_ray: tuple[int, ...] = (4, 8, 16, 32)
    steps: int = 400
    wide_steps: int = 10
    repeats: int = 2


QUICK = Sizes((1, 2), (1, 2), (1, 2), (120, 240), (20, 40), (1, 2), (1, 2), 2, 2)


class Series(NamedTuple):
    """Runs of growing size.

    Attributes:
        against: what the sizes count.
        run: runs every size once, and returns {size: cost}.
        expected: {attribute of `Cost`: exponent that the design should have}.
    """

    against: str
    run: Callable[[], dict[int, Cost]]
    expected: Mapping[str, float]


def training(sizes: Sizes) -> list[Series]:
    """Return the series of training on this machine, without DVC."""
    steps, time, both = sizes.steps, {"seconds": 1.0}, {"seconds": 1.0, "megabytes": 1.0}
    side_by_side = [
        Series(name, each({n: trained(steps=steps, networks=n, workers=count) for n in sizes.networks}), time)
        for count, name in AT_A_TIME.items()
    ]
    short = {n: trained(steps=SHORT, networks=n) for n in sizes.short}
    rounds = {n: trained(steps=steps, networks=1, rounds=n) for n in sizes.rounds}
    images = {n: trained(steps=n // BATCH, networks=1, images=n) for n in sizes.images}
    wide = {runs.weights(n): apart(partial(runs.wide, n, sizes.wide_steps)) for n in sizes.widths}
    return [
        *side_by_side,
        Series(HERE, each(short), both),
        Series("rounds", each(rounds), {"seconds": 1.0, "megabytes": 0.0}),
        Series("images, each seen once", each(images), both),
        Series("weights", each(wide), both),
    ]


def overheads(sizes: Sizes) -> list[Series]:
    """Return the series of DVC and, where Ray is installed, of a cluster."""
    stages = {n: partial(runs.more_stages, n) for n in sizes.stages}
    found = [Series(STAGES, each(stages), {"seconds": 1.0})]
    if importlib.util.find_spec("ray"):
        on_ray = partial(runs.on_ray, sizes.on_ray)
        found.append(Series(ON_RAY, lambda: dict(machine.apart(on_ray, 1)), {"seconds": 1.0}))
    return found


def each(tasks: Mapping[int, Task]) -> Callable[[], dict[int, Cost]]:
    """Return a function that runs the task of every size."""
    return lambda: {size: task() for size, task in tasks.items()}


def trained(**given: int) -> Task:
    """Return a function that runs `runs.chain` in a process of its own."""
    return apart(partial(runs.chain, **given))


def apart(task: Callable[[], None]) -> Task:
    """Return a function that runs a task in a process of its own and returns its cost."""
    return lambda: Cost(*machine.apart(partial(runs.spent, task), 1))
