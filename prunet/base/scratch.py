"""Places beside an output where it is made: each writer's own, locked, cleared when its process is gone."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# What a rename to a folder says if another writer was quicker.
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """Make a folder for this writer of `path` alone, and remove those of writers that were killed.

    It is locked while it is in use: the system unlocks it when its process ends, however it ends.
    """
    shared = path.with_name(path.name + ".partial")
    place, lock = _locked_place(shared)
    try:
        for entry in shared.iterdir():
            if entry != place:
                _remove_stale(entry, path)
        yield place
    finally:
        _remove(place, path)
        os.close(lock)
        with suppress(OSError):  # another writer is at work
            shared.rmdir()


def _locked_place(shared: Path) -> tuple[Path, int]:
    while True:
        # Another writer may remove the shared folder, or a place that is not locked yet: then once more.
        with suppress(FileNotFoundError, FileExistsError):
            if shared.is_file():
                shared.unlink()
            shared.mkdir(exist_ok=True)
            place = Path(tempfile.mkdtemp(dir=shared))
            lock = _lock(place)
            if lock is not None:
                if place.exists():
                    return place, lock
                os.close(lock)


def _lock(place: Path) -> int | None:
    """Lock a workplace; None where another process has locked it."""
    descriptor = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _remove_stale(entry: Path, path: Path) -> None:
    if not entry.is_dir():
        entry.unlink(missing_ok=True)
        return
    with suppress(FileNotFoundError):  # its writer has ended just now
        lock = _lock(entry)
        if lock is not None:
            _remove(entry, path)
            os.close(lock)


def _remove(place: Path, path: Path) -> None:
    """Remove a workplace, and put back what was there if the new folder did not get into its place."""
    old = aside(place, path)
    if old.exists() and not path.exists():
        try:
            old.rename(path)
        except OSError as error:
            if error.errno not in OCCUPIED:  # what was there stays in its workplace
                raise
    shutil.rmtree(place, ignore_errors=True)


def aside(place: Path, path: Path) -> Path:
    """Return where in its workplace a writer puts the folder that it replaces."""
    return place / f"{path.name}.old"
