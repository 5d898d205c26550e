"""Pictures that a user passes on the command line: files, and folders of any files."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.folders import walk
from prunet.base.progress import progress
from prunet.data.images import decoding
from prunet.data.images.decoding import Rejection

load = decoding.read  # one picture, as (height, width, 3) uint8 RGB


class Source(NamedTuple):
    """A file that may be a picture."""

    path: Path  # as the user would write it
    name: str  # relative to the folder that contains all given paths, with forward slashes
    named: bool  # given by the user, as opposed to found in a folder


def gather(paths: Sequence[Path]) -> list[Source]:
    """List the given files and the files in the given folders, at any depth, sorted by name, without repeats.

    In folders, hidden files and folders are skipped, as is anything that is not a file (pipes, broken links).

    Raises:
        InputError: a path does not exist or cannot be read, or there is no file at all.
    """
    found: dict[str, Source] = {}
    root = os.path.commonpath([_absolute(path if path.is_dir() else path.parent) for path in paths])
    for path in paths:
        if not (path.is_dir() or path.is_file()):
            raise InputError(
                f"{path} does not exist or is not a file; name pictures or folders with pictures."
            )
        for file in _files(path) if path.is_dir() else [path]:
            absolute = _absolute(file)
            if absolute not in found or file == path:
                name = Path(absolute).relative_to(root).as_posix()
                found[absolute] = Source(file, name, named=file == path)
    if not found:
        raise InputError(f"{', '.join(map(str, paths))} contains no files; name pictures.")
    return sorted(found.values(), key=lambda source: source.name)


def _absolute(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100 (does not follow links: users know files by their links)


def _files(folder: Path) -> list[Path]:
    return [file for file in walk(folder) if file.is_file()]


def load_all(sources: Sequence[Source]) -> Iterator[tuple[Source, NDArray[np.uint8] | Rejection]]:
    """Load pictures one at a time; yield each with its pixels (see `load`) or the reason for its rejection.

    Files that were found in a folder and are not images are skipped, but not pictures of a format that is not
    read.

    Raises:
        InputError: at the end, if none of the files could be read.
    """
    reasons: dict[Path, Rejection] = {}
    for source in progress(sources, desc="read", unit="picture"):
        try:
            yield source, load(source.path)
        except Rejection as reason:
            reasons[source.path] = reason
            if source.named or reason.status != "not-an-image":
                yield source, reason
    if len(reasons) == len(sources):
        path, first = next(iter(reasons.items()))
        raise InputError(
            f"None of {len(sources)} files could be read as a picture, for example {path}: {first.detail}."
        )
