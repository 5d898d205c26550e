"""Where the time of a stage's process goes; copied as `sitecustomize.py` into the path of a default run.

Python runs it first thing in every process. A stage's process adds a line of JSON to the file $BENCH_SPENT
when it ends, and one for each training, whichever of its processes trained.
"""

import atexit
import builtins
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

PROCESS = os.getpid()
spent = {"startup": 0.0, "imports": 0.0, "side_by_side": 0.0, "train": 0.0, "evaluate": 0.0}


def age() -> float:
    """Return the seconds since this process began (Linux), before Python itself was loaded."""
    with open("/proc/self/stat") as stream:  # noqa: PTH123 - pathlib would be an import that is measured
        started = int(stream.read().rpartition(")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def note(**values: Any) -> None:
    """Add a line to the file."""
    with open(os.environ["BENCH_SPENT"], "a") as stream:  # noqa: PTH123
        stream.write(json.dumps({"process": PROCESS, **values}) + "\n")


def timed(inner: Callable[..., Any], key: str) -> Callable[..., Any]:
    """Return a function that also adds its time, less that of calls within it to itself, to `spent`."""
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
    """Time a stage: its start, later imports, trainings, and evaluations within them."""
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
    """Time what trains, once it is imported."""
    cells = sys.modules.get("prunet.training.cells")
    if cells is None or not hasattr(cells, "Study") or hasattr(cells, "watched"):
        return module
    training, workers, evaluation = cells.training, cells.workers, sys.modules["prunet.training.evaluation"]
    cells.watched = True  # type: ignore[attr-defined]
    evaluation.evaluate = timed(evaluation.evaluate, "evaluate")  # type: ignore[attr-defined]
    train = timed(training.train, "train")

    def train_and_note(*arguments: Any) -> None:
        before = dict(spent)
        train(*arguments)
        note(**{key: spent[key] - before[key] for key in ("train", "evaluate")})

    run = timed(workers.run, "side_by_side")

    def run_and_forget_imports(*arguments: Any) -> None:
        before = spent["imports"]
        run(*arguments)
        spent["imports"] = before  # what is imported while a network trains is counted there already

    training.train, workers.run = train_and_note, run_and_forget_imports
    return module


if sys.orig_argv[1:2] == ["-m"] and sys.orig_argv[2].startswith("stages.") and "BENCH_SPENT" in os.environ:
    install(sys.orig_argv[2].removeprefix("stages."))
