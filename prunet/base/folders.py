"""Walk through a folder tree that other people made."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from prunet.base.errors import InputError


def walk(folder: Path) -> Iterator[Path]:
    """Yield the files of a tree: those of a folder, sorted by name, before those of its subfolders.

    Names that start with a dot are skipped. Links to folders are followed, after all other folders, and no
    folder is entered twice. A path that is not entered for that reason is yielded like a file, and so is
    everything else that is not a folder: broken links, pipes, links to a folder that they lie in.

    Raises:
        InputError: a folder cannot be read.
    """
    root = folder.resolve()
    entered: set[Path] = set()  # real paths
    starts = [folder]  # followed by the links found on the way
    for start in starts:
        real, home = start.resolve(), start.parent.resolve()
        if real in entered or (start != folder and (home.is_relative_to(real) or root.is_relative_to(real))):
            yield start
            continue
        for name, subfolders, files in os.walk(start, onerror=_refuse):
            parent = Path(name)
            place = real / parent.relative_to(start)
            entered.add(place)
            yield from (parent / file for file in _visible(files))
            inside = _visible(subfolders)
            starts += [parent / entry for entry in inside if (parent / entry).is_symlink()]
            others = [entry for entry in inside if not (parent / entry).is_symlink()]
            yield from (parent / entry for entry in others if place / entry in entered)
            subfolders[:] = [entry for entry in others if place / entry not in entered]


def _visible(names: list[str]) -> list[str]:
    return sorted(name for name in names if not name.startswith("."))


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}); fix its permissions.")
