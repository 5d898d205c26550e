"""Stopwatch of a stage's process; copied as `sitecustomize.py` to the path of a default run.

Python runs it first in every process. When a stage ends, it appends a line of JSON to the file $BENCH_SPENT,
after a line for each network that it or one of its forked processes trained.
"""

import atexit
import builtins
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

PROCESS = os.getpid()
spent = {"startup": 0.0, "imports": 0.0, "side_by_side": 0.0, "train": 0.0, "evaluate": 0.0}


def age() -> float:
    """Return the seconds since this process started (on Linux), before it loaded Python."""
    with open("/proc/self/stat") as stream:  # noqa: PTH123 (importing pathlib would be measured)
        started = int(stream.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def note(**values: Any) -> None:
    """Append a line to the file."""
    with open(os.environ["BENCH_SPENT"], "a") as stream:  # noqa: PTH123
        stream.write(json.dumps({"process": PROCESS, **values}) + "\n")


def timed(inner: Callable[..., Any], key: str) -> Callable[..., Any]:
    """Return a function that also adds its time to `spent`, counting recursive calls once."""
    depth = 0

    def outer(*arguments: Any, **named: Any) -> Any:
        nonlocal depth
        depth += 1
        began = time.perf_counter()
        try:
            return inner(*arguments, **named)
        finally:
            depth -= 1
            if depth == 0:
                spent[key] += time.perf_counter() - began

    return outer


def install(stage: str) -> None:
    """Time a stage: its start, later imports, training, and the evaluations during training."""
    import click

    began = time.perf_counter() - age()
    invoke, leave = click.Command.invoke, os._exit

    def end() -> None:
        if os.getpid() == PROCESS:
            keys = ("startup", "imports", "side_by_side")
            seconds = time.perf_counter() - began
            note(stage=stage, seconds=seconds, **{key: spent[key] for key in keys})

    def end_and_leave(code: int) -> None:
        end()
        leave(code)

    def begin(*arguments: Any) -> Any:
        spent["startup"] = time.perf_counter() - began
        imported = timed(builtins.__import__, "imports")
        builtins.__import__ = lambda *named, **more: watched(imported(*named, **more))
        return invoke(*arguments)

    click.Command.invoke = begin  # type: ignore[method-assign, assignment]
    os._exit = end_and_leave  # type: ignore[assignment]
    atexit.register(end)


def watched(module: Any) -> Any:
    """Time the training functions as soon as they are imported."""
    trainer = sys.modules.get("prunet.training.trainer")
    if trainer is None or not hasattr(trainer, "Trainer") or hasattr(trainer, "watched"):
        return module
    loop, workers, evaluation = trainer.loop, trainer.workers, sys.modules["prunet.training.evaluation"]
    trainer.watched = True  # type: ignore[attr-defined]
    evaluation.evaluate = timed(evaluation.evaluate, "evaluate")  # type: ignore[attr-defined]
    train = loop.train

    def train_and_note(*arguments: Any) -> Iterator[Any]:
        before, began = dict(spent), time.perf_counter()
        yield from train(*arguments)
        spent["train"] += time.perf_counter() - began
        note(**{key: spent[key] - before[key] for key in ("train", "evaluate")})

    run = workers.run

    def run_without_imports(*arguments: Any) -> Iterator[Any]:
        before, began = spent["imports"], time.perf_counter()
        yield from run(*arguments)
        spent["side_by_side"] += time.perf_counter() - began
        spent["imports"] = before  # imports during training already count as training

    loop.train, workers.run = train_and_note, run_without_imports
    return module


if sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[2].startswith("stages.") and "BENCH_SPENT" in os.environ:
    install(sys.orig_argv[2].removeprefix("stages."))
