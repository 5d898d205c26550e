"""An image folder: decoded into memory, or left on disk if it is too large for that."""

import hashlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.data.dataset import SPLITS
from prunet.data.decoding import Rejection
from prunet.data.image_files import DIGEST, Files
from prunet.data.moments import moments
from prunet.data.sets.splitting import choose
from prunet.data.sets.tree import Image, listing
from prunet.data.squares import square

SHOWN = 10  # unreadable images that are named
AT_ONCE = 16  # images that a process is handed at a time
FLOAT = 4  # bytes of a value when training holds the images in memory


def folder(place: str, side: int, memory: int, val: int, test: int, seed: int) -> dict[str, Any]:
    """Read an image folder; see `listing` for how it is laid out.

    Where it is divided, `train`, `val` and `test` are what they are called. Without `test`, `val` is the test
    split, as is common for ImageNet, whose test labels are not public; then, and without `val`, the images
    that choose are drawn from `train`. A folder that is not divided loses images of both kinds.

    Args:
        place: the folder.
        side: pixels a side that images are kept with: a centre square, see `decoding.square`.
        memory: bytes; images that would take more in training, 4 for each channel of a pixel, stay on disk.
        val: images that choose, if they have to be drawn.
        test: images that test, if they have to be drawn.
        seed: of the stratified draw.

    Returns:
        The arguments of `prunet.data.dataset.save`, without its path.

    Raises:
        InputError: there are fewer than two classes, the parts differ in them, or a class lacks images.
    """
    root = Path(place)
    listed, class_names, parts = listing(root)
    on_disk = FLOAT * 3 * side * side * len(listed) > memory
    images, found = _read(root, listed, _summary if on_disk else square, side)
    _refuse_empty_classes(root, images, class_names, parts)
    labels = np.array([image.label for image in images], np.int64)
    split = _split([image.part for image in images], labels, val, test, seed)
    kept = _files(place, images, found, side, split) if on_disk else np.stack(found)
    return {"images": kept, "labels": labels, "split": split, "class_names": class_names}


def _read(
    root: Path, listed: Sequence[Image], look: Callable[[Path, int], Any], side: int
) -> tuple[list[Image], list[Any]]:
    """Look at every image, in as many processes as there are cores; return those that could be read."""
    images, found, unreadable = [], [], []
    try:
        for image, (result, reason) in zip(listed, _side_by_side(root, listed, look, side), strict=True):
            if reason is None:
                images.append(image)
                found.append(result)
            else:
                unreadable.append(f"{image.name!r} {reason}")
    except BrokenProcessPool:
        raise InputError(
            f"{root}: a process that decodes images was killed (often: too little memory): lower images.side "
            "or images.memory, and run it again."
        ) from None
    if unreadable:
        shown = "; ".join(unreadable[:SHOWN]) + ("; ..." if len(unreadable) > SHOWN else "")
        click.echo(
            f"warning: {root}: {len(unreadable)} of {len(listed)} files are left out: {shown}.", err=True
        )
    return images, found


def _side_by_side(
    root: Path, listed: Sequence[Image], look: Callable[[Path, int], Any], side: int
) -> Iterator[tuple[Any, str | None]]:
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(min(cores(), max(1, len(listed) // AT_ONCE)), context) as pool:
        names = [image.name for image in listed]
        looked = pool.map(partial(_tried, root, look, side), names, chunksize=AT_ONCE)
        yield from tqdm(looked, total=len(listed), desc="images", unit="image", disable=None, leave=False)


def _tried(root: Path, look: Callable[[Path, int], Any], side: int, name: str) -> tuple[Any, str | None]:
    try:
        name.encode()
        return look(root / name, side), None
    except UnicodeEncodeError:
        return None, "has a name that is not UTF-8"
    except Rejection as reason:
        return None, reason.detail


def _summary(path: Path, side: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Return a file's digest, and of its square each channel's sum of the pixels and of their squares."""
    pixels = square(path, side).astype(np.int64)
    digest = hashlib.blake2b(path.read_bytes(), digest_size=DIGEST).digest()
    return np.frombuffer(digest, np.uint8), pixels.sum((1, 2)), (pixels**2).sum((1, 2))


def _refuse_empty_classes(
    root: Path, images: Sequence[Image], class_names: Sequence[str], parts: Sequence[str | None]
) -> None:
    full = {(image.part, image.label) for image in images}
    for part in parts:
        for label, name in enumerate(class_names):
            if (part, label) not in full:
                raise InputError(
                    f"{root / (part or '') / name} holds no image that can be read: fill it, or remove it."
                )


def _split(
    parts: Sequence[str | None], labels: NDArray[np.int64], val: int, test: int, seed: int
) -> NDArray[np.uint8]:
    given = set(parts)
    meant = {"val": "val" if "test" in given else "test", "test": "test"}
    split = np.array([SPLITS.index(meant.get(part or "", "train")) for part in parts], np.uint8)
    if given == {None}:
        choose(split, labels, test, "test", seed)
    if not {"val", "test"} <= given:
        choose(split, labels, val, "val", seed)
    return split


def _files(
    place: str, images: Sequence[Image], found: Sequence[Any], side: int, split: NDArray[np.uint8]
) -> Files:
    digests, sums, squares = (np.stack(column) for column in zip(*found, strict=True))
    train = split == SPLITS.index("train")
    mean, std = moments(sums[train].sum(0), squares[train].sum(0), int(train.sum()) * side * side)
    return Files(place, [image.name for image in images], digests, side, mean, std)
