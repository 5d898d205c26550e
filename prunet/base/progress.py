"""Progress of long work: a bar on a terminal, at most a line a minute in a log."""

import sys
from collections.abc import Iterable
from multiprocessing import parent_process
from typing import Any

from tqdm import tqdm

LINE = "{desc}: {n_fmt} of {total_fmt} after {elapsed}, {remaining} left\n"
LOG: dict[str, Any] = {"delay": 60, "mininterval": 60, "bar_format": LINE}

# tqdm's monitor is a thread: it would repeat a line of a log within the minute, and processes are forked.
# Without it every step has to look at the clock (miniters).
tqdm.monitor_interval = 0


def progress(iterable: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """Return tqdm's progress bar over an iterable, or one for `update`; `options` are tqdm's.

    Worker processes show nothing: their parent counts what they have done.
    """
    bar: tqdm[Any]
    if parent_process():
        bar = tqdm(iterable, disable=True)
        bar.initial = 0  # which tqdm leaves out where it shows nothing
        return bar
    shown = {} if sys.stderr.isatty() else LOG
    bar = tqdm(iterable, leave=False, miniters=1, **options, **shown)
    return bar
