"""Record the time of each stage when DVC runs it: one table in the working folder, beside dvc.lock."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import psutil

from prunet.base.errors import InputError
from prunet.base.files import read_rows, write_rows

TABLE = Path("metrics/times.csv")
COLUMNS = ("stage", "seconds", "ended")
STAGE = "DVC_STAGE"  # set for the commands that DVC runs, e.g. train@digits


def record() -> None:
    """Record how long this process has run, if DVC runs it as a stage; called when the stage has succeeded.

    `TABLE` has a row for each stage: its name, wall-clock seconds since the process started, and its end
    (UTC). The table is not an output of DVC, since equal results must have equal hashes. If it cannot be
    written, a warning says so, and the stage succeeds.
    """
    if address := os.environ.get(STAGE):
        stage = address.rpartition(":")[2]  # without the path of a dvc.yaml elsewhere
        try:
            replace_row(stage, elapsed(), datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        except (InputError, OSError) as error:
            click.echo(f"warning: the time of {stage} was not recorded: {error}", err=True)


def elapsed() -> float:
    """Return the seconds since this process started, imports included."""
    started = psutil.Process().create_time()
    if hasattr(time, "CLOCK_BOOTTIME"):  # on Linux, psutil knows the system's start to the whole second only
        return time.clock_gettime(time.CLOCK_BOOTTIME) - (started - psutil.boot_time())
    return time.time() - started


def replace_row(stage: str, seconds: float, ended: str) -> None:
    """Write the row of a stage in place of its earlier one; rows are sorted by stage.

    Raises:
        InputError: the table cannot be read or written.
        OSError: its folder cannot be made or opened.
    """
    TABLE.parent.mkdir(exist_ok=True)
    with _locked(TABLE.parent):
        rows = {row["stage"]: row for row in read_rows(TABLE, COLUMNS)} if TABLE.exists() else {}
        rows[stage] = {"stage": stage, "seconds": f"{seconds:.2f}", "ended": ended}
        write_rows(TABLE, COLUMNS, [rows[name] for name in sorted(rows)])


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock a folder: two runs of DVC may end different stages at the same time."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # on network file systems that cannot lock a folder
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
