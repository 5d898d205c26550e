"""Walk through a folder tree that other people made."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from prunet.base.errors import InputError


def walk(folder: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder of a tree, with the sorted names of its subfolders and of its files.

    Names that start with a dot are skipped. Links to folders are listed among the subfolders, not followed.

    Raises:
        InputError: a folder cannot be read.
    """
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(parent), folders, sorted(name for name in files if not name.startswith("."))


def _refuse(error: OSError) -> NoReturn:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}); fix its permissions.")
