"""Image folder as a data set: decoded into memory, or left on disk if too large."""

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.base.progress import progress
from prunet.data.images.dataset import SPLITS
from prunet.data.images.decoding import Rejection
from prunet.data.images.image_files import DIGEST, Files
from prunet.data.images.moments import moments
from prunet.data.images.squares import square
from prunet.data.sets.splitting import draw_split
from prunet.data.sets.tree import ImageFile, ImageTree, list_images

SHOWN = 10  # unreadable files that a warning lists
CHUNK = 16  # files handed to a process at a time
FLOAT_BYTES = 4  # of a value, when training holds the images in memory

Reader = Callable[[Path, int], Any]  # reads a file, with pixels a side


def folder(source: str, side: int, memory: int, val: int, test: int, seed: int) -> dict[str, Any]:
    """Read an image folder; see `list_images` for its layout.

    The parts `train`, `val` and `test` of a folder become those splits. Without `test`, the part `val` is the
    test split, as is usual for ImageNet, whose test labels are not public. A missing `val` or `test` is drawn
    from the training images.

    Args:
        source: the folder.
        side: pixels a side of the centre square that is kept of each image.
        memory: bytes. Images that would take more in training, as float32, stay on disk.
        val: number of validation images, if they have to be drawn.
        test: number of test images, if they have to be drawn.
        seed: seed of the stratified draw.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: there are fewer than two classes, the parts differ in them, or a class lacks images.
    """
    root = Path(source)
    tree = list_images(root)
    on_disk = FLOAT_BYTES * 3 * side * side * len(tree.files) > memory
    files, contents = _read(root, tree.files, _summary if on_disk else square, side)
    _refuse_empty_classes(root, files, tree)
    labels = np.array([file.label for file in files], np.int64)
    split = _split([file.part for file in files], labels, val, test, seed)
    images = _describe(source, files, contents, side, split) if on_disk else np.stack(contents)
    return {"images": images, "labels": labels, "split": split, "class_names": tree.class_names}


def _read(
    root: Path, listed: Sequence[ImageFile], read: Reader, side: int
) -> tuple[list[ImageFile], list[Any]]:
    """Read the files, using all cores; return those that are images, and what `read` returned for each."""
    names = [file.name for file in listed]
    processes = min(cores(), max(1, len(listed) // CHUNK))
    files, contents, unreadable = [], [], []
    try:
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            results = pool.map(partial(_try, root, read, side), names, chunksize=CHUNK)
            bar = progress(results, total=len(listed), desc="images", unit="image")
            for file, (content, reason) in zip(listed, bar, strict=True):
                if reason is None:
                    files.append(file)
                    contents.append(content)
                else:
                    unreadable.append(f"{file.name!r} {reason}")
    except BrokenProcessPool:
        raise InputError(
            f"{root}: a process that decodes images was killed, probably for lack of memory: lower data.side "
            "or data.memory and run the stage again."
        ) from None
    if unreadable:
        shown = "; ".join(unreadable[:SHOWN]) + ("; ..." if len(unreadable) > SHOWN else "")
        warning = f"{root}: {len(unreadable)} of {len(listed)} files are left out: {shown}."
        click.echo(f"warning: {warning}", err=True)
    return files, contents


def _try(root: Path, read: Reader, side: int, name: str) -> tuple[Any, str | None]:
    """Return what `read` returns for a file and None, or None and the reason why it is left out."""
    try:
        name.encode()
        return read(root / name, side), None
    except UnicodeEncodeError:
        return None, "has a name that is not UTF-8"
    except Rejection as reason:
        return None, reason.detail


def _summary(path: Path, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return a file's digest, and per channel the sums of the pixels and of their squares."""
    pixels = square(path, side).astype(np.int64)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=DIGEST).digest()
    return np.frombuffer(digest, np.uint8), pixels.sum((1, 2)), (pixels**2).sum((1, 2))


def _refuse_empty_classes(root: Path, files: Sequence[ImageFile], tree: ImageTree) -> None:
    full = {(file.part, file.label) for file in files}
    for part in tree.parts:
        for label, name in enumerate(tree.class_names):
            if (part, label) not in full:
                raise InputError(
                    f"{root / part / name} has no readable image: add some, or remove the folder."
                )


def _split(
    parts: Sequence[str], labels: NDArray[np.int64], val: int, test: int, seed: int
) -> NDArray[np.uint8]:
    given = set(parts)
    sides = {"val": "val" if "test" in given else "test", "test": "test"}
    split = np.array([SPLITS.index(sides.get(part, "train")) for part in parts], np.uint8)
    if given == {""}:
        draw_split(split, labels, test, "test", seed)
    if not {"val", "test"} <= given:
        draw_split(split, labels, val, "val", seed)
    return split


def _describe(
    source: str, files: Sequence[ImageFile], summaries: Sequence[Any], side: int, split: NDArray[np.uint8]
) -> Files:
    """Return the files of a data set that stays on disk, given the `_summary` of each."""
    digests, sums, squares = (np.stack(column) for column in zip(*summaries, strict=True))
    train = split == SPLITS.index("train")
    mean, std = moments(sums[train].sum(0), squares[train].sum(0), int(train.sum()) * side * side)
    return Files(source, [file.name for file in files], digests, side, mean, std)
