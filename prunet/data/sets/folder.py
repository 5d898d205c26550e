"""Image folder as a data set: decoded into memory, or left on disk if too large."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.text import readable
from prunet.data.images.dataset import SPLITS, require_all_classes
from prunet.data.images.image_files import Files
from prunet.data.images.moments import moments
from prunet.data.listing import quality
from prunet.data.sets.copies import Fingerprint, leave_out_copies, pictures
from prunet.data.sets.reading import Summary, read_files
from prunet.data.sets.splitting import LEFT_OUT, draw_split
from prunet.data.sets.tree import ImageFile, ImageTree, list_images

FLOAT_BYTES = 4  # of a value, when training holds the images in memory


def folder(
    source: str,
    side: int,
    memory: int,
    val: int,
    test: int,
    distance: int,
    min_images: int,
    doubtful: str,
    seed: int,
) -> dict[str, Any]:
    """Read an image folder, and print its counts; see `list_images` for its layout.

    The parts train, val and test of a folder become those splits. Without test, the part val is the test
    split, as is usual for ImageNet, whose test labels are not public. A missing val or test is drawn from the
    training images. No picture is on two sides: copies of test images are left out of val and train, those of
    validation images out of train.

    Args:
        source: the folder.
        side: pixels a side of the centre square that is kept of each image.
        memory: bytes. Images that would take more in training, as float32, stay on disk.
        val: number of validation images, if they have to be drawn.
        test: number of test images, if they have to be drawn.
        distance: copies differ in at most so many of 64 bits of a perceptual hash; see `pictures`.
        min_images: classes with fewer images are left out.
        doubtful: `warn` about classes left out, classes of similar names, copies that lie in several parts of
            the folder and pictures of two classes, or `refuse` them.
        seed: seed of the stratified draw.

    Returns:
        The arguments of `prunet.data.images.dataset.save`, without its path.

    Raises:
        InputError: there are fewer than two classes, the parts are ambiguous, a split lacks a class, or, if
            `doubtful` is `refuse`, there is something to report.
    """
    root = Path(source)
    tree = list_images(root)
    if tree.unused:
        click.echo(f"warning: {root}: not used: {'; '.join(tree.unused)}.", err=True)
    alike = quality.similar_names(_counts(tree, tree.files))
    rare = quality.rare(_counts(tree, tree.files), min_images, root)
    if doubtful == "refuse":
        quality.report([alike, quality.few_images(rare, min_images)], doubtful)
    listed = [file for file in tree.files if tree.class_names[file.label] not in rare]
    _split(root, tree, listed, np.arange(len(listed)), val, test, seed)  # fails before the work
    on_disk = FLOAT_BYTES * 3 * side * side * len(listed) > memory
    files, contents, fingerprints = read_files(root, listed, side, on_disk)
    rare = quality.rare(_counts(tree, files) | rare, min_images, root)
    kept = [i for i, file in enumerate(files) if tree.class_names[file.label] not in rare]
    files, contents = [files[i] for i in kept], [contents[i] for i in kept]
    picture = pictures(*_columns([fingerprints[i] for i in kept]), distance)
    findings = [
        alike,
        quality.few_images(rare, min_images),
        quality.in_two_parts([file.name for file in files], _sides(files), picture),
        quality.in_two_classes([file.name for file in files], [file.label for file in files], picture),
    ]
    quality.report(findings, doubtful)
    split = _split(root, tree, files, picture, val, test, seed)
    return _data_set(source, tree, files, contents, split, side, on_disk)


def _counts(tree: ImageTree, files: Sequence[ImageFile]) -> dict[str, int]:
    found = Counter(file.label for file in files)
    return {name: found[label] for label, name in enumerate(tree.class_names)}


def _columns(fingerprints: Sequence[Fingerprint]) -> tuple[NDArray[np.uint64], NDArray[np.uint8]]:
    hashes, thumbnails = zip(*fingerprints, strict=True)
    return np.array(hashes, np.uint64), np.stack(thumbnails)


def _sides(files: Sequence[ImageFile]) -> NDArray[np.uint8]:
    """Return the split that each file's part stands for."""
    parts = [file.part for file in files]
    sides = {"val": "val" if "test" in parts else "test", "test": "test"}
    return np.array([SPLITS.index(sides.get(part, "train")) for part in parts], np.uint8)


def _split(
    root: Path,
    tree: ImageTree,
    files: Sequence[ImageFile],
    picture: NDArray[np.int64],
    val: int,
    test: int,
    seed: int,
) -> NDArray[np.uint8]:
    """Return the side of each file; copies on another side than the picture are `LEFT_OUT`."""
    labels = np.array([file.label for file in files], np.int64)
    split = leave_out_copies(_sides(files), picture)
    for side, count in (("test", test), ("val", val)):
        if not np.any(split == SPLITS.index(side)):
            candidates = np.flatnonzero(split == SPLITS.index("train"))
            _, first = np.unique(picture[candidates], return_index=True)
            draw_split(split, labels, count, side, seed, tree.class_names, candidates[np.sort(first)])
            split = leave_out_copies(split, picture)
    present = np.unique(labels)
    names = [tree.class_names[label] for label in present.tolist()]
    require_all_classes(np.searchsorted(present, labels), split, names, root)
    return split


def _data_set(
    source: str,
    tree: ImageTree,
    files: Sequence[ImageFile],
    contents: Sequence[Any],
    split: NDArray[np.uint8],
    side: int,
    on_disk: bool,
) -> dict[str, Any]:
    """Print the counts, and return the arguments of `save`."""
    kept = np.flatnonzero(split != LEFT_OUT).tolist()
    labels, split = np.array([files[i].label for i in kept], np.int64), split[kept]
    present, labels = np.unique(labels, return_inverse=True)
    names = [tree.class_names[label] for label in present.tolist()]
    counts = ", ".join(f"{np.sum(split == number)} {name}" for number, name in enumerate(SPLITS))
    click.echo(
        f"{readable(source)}: {len(kept)} images, {len(names)} classes, {counts}; "
        f"copies on another side: {len(files) - len(kept)} left out"
    )
    chosen = [contents[i] for i in kept]
    own = [files[i].name for i in kept]
    images = _describe(source, own, chosen, side, split) if on_disk else np.stack(chosen)
    labels = labels.astype(np.int64)
    return {"images": images, "labels": labels, "split": split, "class_names": names, "files": own}


def _describe(
    source: str, names: list[str], summaries: Sequence[Summary], side: int, split: NDArray[np.uint8]
) -> Files:
    """Return the files of a data set that stays on disk."""
    digests, sums, squares = (np.stack(column) for column in zip(*summaries, strict=True))
    train = split == SPLITS.index("train")
    mean, std = moments(sums[train].sum(0), squares[train].sum(0), int(train.sum()) * side * side)
    return Files(source, names, digests, side, mean, std)
