"""Scratch folders in which outputs are made: one for each writer, locked, removed after its process ends."""

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Errors of a rename onto a folder that another writer has just filled.
OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """Make a scratch folder for this writer of `path`, and remove those of writers that were killed.

    Each is a subfolder of `path.partial` and is locked while in use: the operating system releases the lock
    when the process ends, however it ends.
    """
    parent = path.with_name(path.name + ".partial")
    scratch, lock = _make_locked(parent)
    try:
        for entry in parent.iterdir():
            if entry != scratch:
                _remove_stale(entry, path)
        yield scratch
    finally:
        _remove(scratch, path)
        os.close(lock)
        with suppress(OSError):  # not empty: another writer is at work
            parent.rmdir()


def backup(scratch: Path, path: Path) -> Path:
    """Return where in its scratch folder a writer keeps the folder that it replaces at `path`."""
    return scratch / f"{path.name}.old"


def _make_locked(parent: Path) -> tuple[Path, int]:
    while True:
        # Another writer may remove the parent, or a scratch folder that is not locked yet: try again then.
        with suppress(FileNotFoundError, FileExistsError):
            if parent.is_file():
                parent.unlink()
            parent.mkdir(exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=parent))
            lock = _lock(scratch)
            if lock is not None:
                if scratch.exists():
                    return scratch, lock
                os.close(lock)


def _lock(scratch: Path) -> int | None:
    """Lock a scratch folder and return the lock's file descriptor, or None if another process holds it."""
    descriptor = os.open(scratch / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
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
    with suppress(FileNotFoundError):  # its writer has just finished
        lock = _lock(entry)
        if lock is not None:
            _remove(entry, path)
            os.close(lock)


def _remove(scratch: Path, path: Path) -> None:
    """Remove a scratch folder; restore the old folder first if the new one did not reach `path`."""
    old = backup(scratch, path)
    if old.exists() and not path.exists():
        try:
            old.rename(path)
        except OSError as error:
            if error.errno not in OCCUPIED:  # else another writer's folder is there: the old one is outdated
                raise
    shutil.rmtree(scratch, ignore_errors=True)
