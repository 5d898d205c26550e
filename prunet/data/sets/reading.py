"""Decoding of all files of an image folder, in one process per core."""

import hashlib
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.base.progress import progress
from prunet.base.text import is_utf8
from prunet.data.images.decoding import Rejection
from prunet.data.images.image_files import DIGEST
from prunet.data.images.squares import square
from prunet.data.sets.copies import Fingerprint, fingerprint
from prunet.data.sets.tree import ImageFile

SHOWN = 100  # unreadable files that a warning lists
CHUNK = 16  # files handed to a process at a time


class Contents(NamedTuple):
    """Readable files of an image folder, in the order of the listing."""

    files: list[ImageFile]
    contents: list[Any]  # pixels (3, side, side) uint8, or a `Summary`, of each
    fingerprints: list[Fingerprint]


class Summary(NamedTuple):
    """Facts about a file that a data set on disk needs."""

    digest: NDArray[np.uint8]  # (16,) of the bytes
    sums: NDArray[np.int64]  # (3,) of the pixels of each channel
    squares: NDArray[np.int64]  # (3,) of their squares


def read_files(root: Path, listed: Sequence[ImageFile], side: int, on_disk: bool) -> Contents:
    """Read the files of a folder, and warn of those that are not readable images.

    Args:
        root: the folder.
        listed: its files.
        side: pixels a side of the centre square that is read of each image.
        on_disk: return summaries in place of pixels.

    Raises:
        InputError: a process was killed.
    """
    processes = min(cores(), max(1, len(listed) // CHUNK))
    found, unreadable = Contents([], [], []), []
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            names = [file.name for file in listed]
            results = pool.map(partial(_read, root, side, on_disk), names, chunksize=CHUNK)
            bar = progress(results, total=len(listed), desc="images", unit="image")
            for file, result in zip(listed, bar, strict=True):
                if isinstance(result, str):
                    unreadable.append(f"{file.name!r} {result}")
                else:
                    found.files.append(file)
                    found.contents.append(result[0])
                    found.fingerprints.append(result[1])
    except BrokenProcessPool:
        raise InputError(
            f"{root}: a process that decodes images was killed, probably for lack of memory: lower data.side "
            "or data.memory and run the stage again."
        ) from None
    if unreadable:
        shown = "; ".join(unreadable[:SHOWN]) + ("; ..." if len(unreadable) > SHOWN else "")
        warning = f"{root}: {len(unreadable)} of {len(listed)} files are left out: {shown}."
        click.echo(f"warning: {warning}", err=True)
    return found


def _read(root: Path, side: int, on_disk: bool, name: str) -> tuple[Any, Fingerprint] | str:
    """Return the contents and the fingerprint of a file, or the reason why it is left out."""
    if not is_utf8(name):
        return "has a name that is not UTF-8"
    try:
        pixels = square(root / name, side)
    except Rejection as reason:
        return reason.detail
    return _summary(root / name, pixels) if on_disk else pixels, fingerprint(pixels)


def _summary(path: Path, pixels: NDArray[np.uint8]) -> Summary:
    digest = hashlib.blake2b(path.read_bytes(), digest_size=DIGEST).digest()
    values = pixels.astype(np.int64)
    return Summary(np.frombuffer(digest, np.uint8), values.sum((1, 2)), (values**2).sum((1, 2)))
