"""Core count of a stage, and clean start and exit of its processes."""

import ctypes
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import NoReturn

from prunet.base import times

HARD_PAUSE = 2  # omp_pause_hard

_share: int | None = None  # of the cores, in a process that works beside others


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return available if _share is None else min(_share, available)


def use_cores(count: int) -> None:
    """Have `cores` return at most `count` in this process, which works beside others."""
    global _share
    _share = count


def run_and_exit(command: Callable[[], None]) -> NoReturn:
    """Run a click command and end the process at once, with the command's exit code.

    If the command succeeds and DVC runs it as a stage, its time is recorded (`prunet.base.times`). Python's
    regular shutdown, which takes half a second once PyTorch is loaded, is skipped. The stage's files are
    already closed, and stdout and stderr are flushed.
    """
    code = 0
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    if code == 0:
        times.record()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_openmp_threads() -> None:
    """End OpenMP's idle threads, which PyTorch uses, before a fork; the next parallel loop starts new ones.

    A forked process does not have these threads, and its first parallel loop would wait for them for ever.
    """
    process = ctypes.CDLL(None)
    if hasattr(process, "omp_pause_resource_all"):  # OpenMP 5.0
        process.omp_pause_resource_all(HARD_PAUSE)


def end_with_parent() -> None:
    """Make this process, a child of multiprocessing, end when its parent ends, even by SIGKILL.

    Otherwise the next run and a child of the killed one could write the same files.
    """
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_exit_after, args=(parent.sentinel,), daemon=True).start()


def _exit_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
