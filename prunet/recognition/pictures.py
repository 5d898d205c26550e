"""The pictures that a person names: files, and folders with whatever is in them."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.data.decoding import Rejection, load_rgb, verify

MAX_PIXELS = 100_000_000  # width x height, read from a picture's header before anything is decoded


class Source(NamedTuple):
    """A file that may be a picture."""

    path: Path  # as the person would write it
    name: str  # below the folder that holds everything that was named, with forward slashes
    named: bool  # by the person, and not just found in a folder


def gather(places: Sequence[Path]) -> list[Source]:
    """List files and the files in folders, at any depth, sorted by name and each of them once.

    What starts with a dot is left out of folders, and so is what is no file (a pipe, a broken link).

    Raises:
        InputError: a place does not exist or cannot be read, or there is no file at all.
    """
    found: dict[str, Source] = {}
    root = os.path.commonpath([_absolute(place if place.is_dir() else place.parent) for place in places])
    for place in places:
        if not (place.is_dir() or place.is_file()):
            raise InputError(
                f"{place} does not exist or is no file: name pictures, or folders with pictures."
            )
        for path in _files(place) if place.is_dir() else [place]:
            absolute = _absolute(path)
            if absolute not in found or path == place:
                name = Path(absolute).relative_to(root).as_posix()
                found[absolute] = Source(path, name, named=path == place)
    if not found:
        raise InputError(f"{', '.join(map(str, places))}: there is no file in it.")
    return sorted(found.values(), key=lambda source: source.name)


def _absolute(place: Path) -> str:
    return os.path.abspath(place)  # noqa: PTH100 (links stay: a person knows them by their names)


def _files(folder: Path) -> list[Path]:
    files = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return [file for file in files if file.is_file()]


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}): mend its permissions.")


def load(path: Path) -> NDArray[np.uint8]:
    """Load a picture as RGB, (height, width, 3) uint8, upright: `decoding.load_rgb` for files of strangers.

    Raises:
        Rejection: `unreadable`, `not-an-image`, `broken-image` or `too-large`.
    """
    try:
        return verify(path.read_bytes(), MAX_PIXELS)[1]
    except OSError as error:
        raise Rejection("unreadable", f"cannot be read ({error.strerror})") from None
    except Rejection as reason:
        if reason.status != "too-small":  # a digit of 8 x 8 pixels is a picture, too
            raise
    try:
        return load_rgb(path)
    except InputError as error:
        raise Rejection("broken-image", "does not decode") from error


def load_all(sources: Sequence[Source]) -> Iterator[tuple[Source, NDArray[np.uint8] | Rejection]]:
    """Load pictures one at a time; yield each with its pixels as from `load`, or the reason why not.

    Files that a folder holds besides pictures are left out.

    Raises:
        InputError: at the end, if not one file could be read.
    """
    reasons: dict[Path, Rejection] = {}
    for source in tqdm(sources, unit="picture", disable=None):
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
