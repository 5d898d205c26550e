"""What an image folder holds: its classes, its files, and which of its splits they are in."""

import os
from pathlib import Path
from typing import NamedTuple

from prunet.base.errors import InputError
from prunet.data.dataset import SPLITS


class Image(NamedTuple):
    """One file of an image folder."""

    name: str  # below the folder, with forward slashes
    label: int  # index into the sorted class names
    part: str | None  # train, val or test; None in a folder that is not divided


class Listing(NamedTuple):
    """All of an image folder."""

    images: list[Image]  # sorted by part, class and name
    class_names: list[str]
    parts: list[str | None]


def listing(folder: Path) -> Listing:
    """List the images of a folder.

    A class is a folder; its images are the files in it, at any depth, but for those whose names begin with a
    dot. The classes are folders of `folder` itself, or of its parts: `train` and at least one of `val` and
    `test`.

    Raises:
        InputError: the folder cannot be read, has fewer than two classes, or its parts have other classes.
    """
    inside = _folders(folder)
    divided = "train" in inside and ("val" in inside or "test" in inside)
    if not divided and set(SPLITS) & set(inside):
        raise InputError(
            f"{folder} holds the folders {', '.join(inside[:5])}: name its parts train, val and test, with "
            "the same class folders in it, or give it class folders alone."
        )
    parts: list[str | None] = [part for part in SPLITS if part in inside] if divided else [None]
    names = _folders(folder / "train") if divided else inside
    if len(names) < 2:
        where = folder / "train" if divided else folder
        raise InputError(
            f"{where} holds {len(names)} folders of images and a classifier needs two classes or more: give "
            "it a folder for each class, or the folders train and val with the same class folders in both."
        )
    for name in names:
        if not name.isprintable():  # nor are half characters, what is not UTF-8 becomes
            raise InputError(
                f"{folder}: the class folder {name!r} has a name that cannot be shown: rename it."
            )
    images = []
    for part in parts:
        within = folder / part if part else folder
        _refuse_other_classes(within, _folders(within), folder / "train", names)
        for label, name in enumerate(names):
            images += [Image(file, label, part) for file in _files(within / name, folder)]
    return Listing(images, names, parts)


def _refuse_other_classes(within: Path, own: list[str], train: Path, names: list[str]) -> None:
    for place, other, missing in (
        (within, train, sorted(set(names) - set(own))),
        (train, within, sorted(set(own) - set(names))),
    ):
        if missing:
            raise InputError(
                f"{place} has no class folder {', '.join(map(repr, missing[:5]))} ({len(missing)} in all), "
                f"and {other} has: give both the same classes."
            )


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(
            entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")
        )
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}): name a folder of images in images.folder."
        ) from None


def _files(folder: Path, root: Path) -> list[str]:
    files = []
    for parent, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = Path(parent).relative_to(root).as_posix()
        files += [f"{below}/{name}" for name in sorted(names) if not name.startswith(".")]
    return files


def _refuse(error: OSError) -> None:
    raise InputError(f"{error.filename} cannot be read ({error.strerror}): mend its permissions.")
