"""Classes, files and parts of an image folder."""

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from prunet.base.errors import InputError
from prunet.base.folders import walk
from prunet.base.text import shown
from prunet.data.images.dataset import SPLITS
from prunet.data.listing.spellings import normalised

# Usual names of the parts, apart from case, digits and the words below: seg_train, Testing, val2017.
PARTS = {
    **dict.fromkeys(("train", "training", "trainset"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "valset"), "val"),
    **dict.fromkeys(("test", "tests", "testing", "testset"), "test"),
}
BESIDE = {"", "seg", "set", "data", "split", "image", "images", "img", "imgs"}
MAX_NAMES = 10  # of a message


class ImageFile(NamedTuple):
    """One file of an image folder."""

    name: str  # path below the folder, with forward slashes
    label: int  # index into the sorted class names
    part: str  # train, val or test; empty in a folder without parts


class ImageTree(NamedTuple):
    """All files of an image folder."""

    files: list[ImageFile]  # sorted by part, class and name
    class_names: list[str]
    unused: list[str]  # what lies in the folder and is not used, in words


def list_images(folder: Path) -> ImageTree:
    """List the images of a folder.

    Each class is a folder that contains images at any depth; names that begin with a dot are skipped. The
    class folders lie in `folder` itself or in its parts, under any of their usual names (`PARTS`). Two
    spellings of a class name that look the same are one class.

    Raises:
        InputError: the folder cannot be read, has fewer than two classes, or its parts are ambiguous.
    """
    unused: list[str] = []
    classes: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))  # by name and part
    for part, place in _parts(folder, unused).items():
        for name in _subfolders(place, unused if part else None):
            classes[normalised(name)][part].append(place / name)
    if len(classes) < 2:
        raise InputError(
            f"{folder} holds {len(classes)} class folders, but a classifier needs at least two: make a "
            "folder of images for each class, or the folders train and val with the same class folders."
        )
    if bad := [name for name in sorted(classes) if not name.isprintable()]:  # or not UTF-8
        raise InputError(
            f"{folder}: the names of class folders {_listed(bad)} are not printable; rename the folders."
        )
    names = sorted(classes)
    files = [
        ImageFile(file.relative_to(folder).as_posix(), label, part)
        for part in ("", *SPLITS)
        for label, name in enumerate(names)
        for place in classes[name].get(part, ())
        for file in walk(place)
    ]
    return ImageTree(files, names, [*unused, *_hidden(folder)])


def part_of(name: str) -> str:
    """Return the part, train, val or test, that a folder's name stands for; empty if it is none of them."""
    found = [word for word in re.split("[^a-z]+", name.casefold()) if word not in BESIDE]
    return PARTS.get(found[0], "") if len(found) == 1 else ""


def _parts(folder: Path, unused: list[str]) -> dict[str, Path]:
    """Return the folder of each part, in the order of `SPLITS`, or the folder itself under the name ""."""
    names = _subfolders(folder, unused)
    parts = {name: part_of(name) for name in names if part_of(name)}
    if not parts:
        return {"": folder}
    twice = [name for name, part in parts.items() if list(parts.values()).count(part) > 1]
    others = [name for name in names if name not in parts]
    problem = ""
    if twice:
        problem = f"{_listed(twice)} are names of the same part"
    elif others:
        problem = f"{_listed(list(parts))} are names of parts, but {_listed(others)} are not"
    elif "train" not in parts.values():
        problem = f"{_listed(list(parts))} are names of parts, but there is no train"
    if problem:
        raise InputError(
            f"{folder} is ambiguous: {problem}. Keep the folders train, val and test alone in it, each with "
            "the class folders, and move the others elsewhere; if a folder is a class, give it another name."
        )
    places = {part: folder / name for name, part in parts.items()}
    for part, place in places.items():  # seg_train/seg_train/...
        inside = _subfolders(place)
        if len(inside) == 1 and part_of(inside[0]) == part:
            places[part] = place / inside[0]
        elif not inside:
            raise InputError(
                f"{place} holds no class folders: put its images into folders named as in train, or move it "
                "elsewhere, and its split is drawn from train."
            )
    return {part: places[part] for part in SPLITS if part in places}


def _subfolders(folder: Path, unused: list[str] | None = None) -> list[str]:
    """Return the names of a folder's subfolders; describe its files in `unused`."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}): set data.source to a folder of images."
        ) from None
    visible = [entry for entry in entries if not _is_hidden(entry.name)]
    files = [entry.name for entry in visible if not entry.is_dir()]
    if files and unused is not None:
        unused.append(f"{len(files)} beside the class folders in {folder} ({_listed(files)})")
    return [entry.name for entry in visible if entry.is_dir()]


def _hidden(folder: Path) -> list[str]:
    """Describe the hidden folders and files of a tree."""
    folders, files = [], Counter[str]()
    for parent, inside, names in os.walk(folder):
        folders += [
            (Path(parent) / name).relative_to(folder).as_posix() for name in inside if _is_hidden(name)
        ]
        inside[:] = sorted(name for name in inside if not _is_hidden(name))
        files.update(name for name in names if _is_hidden(name) and name != ".DS_Store")
    found = [f"hidden folders ({_listed(sorted(folders))})"] if folders else []
    return [*found, *([f"{files.total()} hidden files ({_listed(sorted(files))})"] if files else [])]


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return ", ".join(map(shown, names[:MAX_NAMES])) + more
