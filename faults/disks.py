"""Small disks in memory that can be filled up, made read-only or forbidden."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NOBODY = 65534


def mountable() -> str:
    """Return why no disk can be mounted here, or an empty string if one can."""
    if os.geteuid():
        return "mounting a small disk needs root"
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"mounting is not allowed here ({done.stderr.strip()})" if done.returncode else ""


@contextmanager
def disk(folder: Path, size: int) -> Iterator[None]:
    """Mount a disk of `size` bytes of memory at `folder`."""
    _mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def resize(folder: Path, size: int) -> None:
    """Change the size of the disk at `folder` to `size` bytes, not less than it holds."""
    _mount("-o", f"remount,size={size}", str(folder))


def used(folder: Path) -> int:
    """Return the used bytes of the disk at `folder`."""
    space = os.statvfs(folder)
    return (space.f_blocks - space.f_bfree) * space.f_frsize


@contextmanager
def full(folder: Path, left: int) -> Iterator[None]:
    """Leave only about `left` free bytes on the disk at `folder`."""
    before = os.statvfs(folder)
    resize(folder, used(folder) + left)
    try:
        yield
    finally:
        resize(folder, before.f_blocks * before.f_frsize)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make the disk at `folder` read-only, even for root."""
    _mount("-o", "remount,ro", str(folder))
    try:
        yield
    finally:
        _mount("-o", "remount,rw", str(folder))


@contextmanager
def nobody() -> Iterator[None]:
    """Run as a user without rights."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)
