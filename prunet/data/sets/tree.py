"""Classes, files and splits of an image folder."""

import os
from pathlib import Path
from typing import NamedTuple

from prunet.base.errors import InputError
from prunet.base.folders import walk
from prunet.data.images.dataset import SPLITS


class ImageFile(NamedTuple):
    """One file of an image folder."""

    name: str  # path below the folder, with forward slashes
    label: int  # index into the sorted class names
    part: str  # train, val or test; empty in a folder without parts


class ImageTree(NamedTuple):
    """All files of an image folder."""

    files: list[ImageFile]  # sorted by part, class and name
    class_names: list[str]
    parts: list[str]


def list_images(folder: Path) -> ImageTree:
    """List the images of a folder.

    Each class is a folder that contains images at any depth; names that begin with a dot are skipped. The
    class folders lie in `folder` itself or in its parts: `train` and at least one of `val` and `test`.

    Raises:
        InputError: the folder cannot be read, has fewer than two classes, or its parts differ in them.
    """
    inside = _subfolders(folder)
    divided = "train" in inside and ("val" in inside or "test" in inside)
    if not divided and set(SPLITS) & set(inside):
        raise InputError(
            f"{folder} holds the folders {', '.join(inside[:5])}: name its parts train, val and test, each "
            "with the same class folders, or keep only class folders in it."
        )
    parts = [part for part in SPLITS if part in inside] if divided else [""]
    first = folder / parts[0]
    names = _subfolders(first)
    if len(names) < 2:
        raise InputError(
            f"{first} holds {len(names)} class folders, but a classifier needs at least two: make a folder "
            "of images for each class, or the folders train and val with the same class folders in both."
        )
    for name in names:
        if not name.isprintable():  # this includes names that are not UTF-8
            raise InputError(f"{folder}: the name of the class folder {name!r} is not printable; rename it.")
    files = []
    for part in parts:
        _require_same_classes(folder / part, first, names)
        for label, name in enumerate(names):
            files += [ImageFile(file, label, part) for file in _files(folder / part / name, folder)]
    return ImageTree(files, names, parts)


def _require_same_classes(part: Path, first: Path, names: list[str]) -> None:
    own = _subfolders(part)
    for path, found, other, wanted in ((part, own, first, names), (first, names, part, own)):
        if missing := sorted(set(wanted) - set(found)):
            raise InputError(
                f"{path} lacks the class folders {', '.join(map(repr, missing[:5]))} ({len(missing)} in all) "
                f"of {other}: give both the same classes."
            )


def _subfolders(folder: Path) -> list[str]:
    try:
        return sorted(
            entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}): set data.source to a folder of images."
        ) from None


def _files(folder: Path, root: Path) -> list[str]:
    return [file.relative_to(root).as_posix() for file in walk(folder)]
