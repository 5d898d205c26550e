"""How many processes a stage may use, and how its own ends."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn


def cores() -> int:
    """Return how many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_and_leave(command: Callable[[], None]) -> NoReturn:
    """Run a click command and end the process at once.

    Taking PyTorch down in order costs half a second, which each of the many short training stages would pay
    for nothing: their files are written and closed.
    """
    code = 0
    try:
        command()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
