"""Division of a data set into train, val and test.

The images of most sets are drawn at random, stratified by class. Lists of faces grow, so the split of a
face depends on its place in the list and not on the other faces: permuted-block randomisation as in clinical
trials (Zelen, "The randomization and stratification of patients to clinical trials", J. Chronic Diseases 27,
1974), with the people as strata.
"""

from collections.abc import Sequence
from math import gcd

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.seeds import derive
from prunet.data.hashing import near_pairs
from prunet.data.images.dataset import SPLITS

LEFT_OUT = len(SPLITS)  # side of an image that is in no split


def draw_split(
    split: NDArray[np.uint8],
    labels: NDArray[np.int64],
    count: int,
    side: str,
    seed: int,
    class_names: Sequence[str],
    candidates: NDArray[np.int64] | None = None,
) -> None:
    """Move `count` random images from the training split to another split, stratified by class.

    Args:
        split: (N,) indices into `SPLITS`, changed in place.
        labels: (N,) class of each image.
        count: number of images to move.
        side: name of the split they move to; an error message calls it data.SIDE.
        seed: seed of the draw.
        class_names: one name per class, for messages.
        candidates: numbers of the training images that may be drawn; None: all of them.

    Raises:
        InputError: a class would be left without an image in one of the two splits.
    """
    from sklearn.model_selection import train_test_split

    if candidates is None:
        candidates = np.flatnonzero(split == SPLITS.index("train"))
    sizes = np.bincount(labels[candidates])
    classes = np.count_nonzero(sizes)
    if single := [class_names[label] for label in np.flatnonzero(sizes == 1).tolist()]:
        raise InputError(
            f"the {side} split cannot be drawn, because these classes have a single image to draw from: "
            f"{', '.join(single)}. Add images of them, or leave them out by data.min_images."
        )
    if not classes <= count <= len(candidates) - classes:
        raise InputError(
            f"data.{side} is {count}: to draw from {len(candidates)} images of {classes} classes, it must be "
            f"from {classes} to {len(candidates) - classes}."
        )
    drawn, _ = train_test_split(
        candidates, train_size=count, stratify=labels[candidates], random_state=seed % 2**32
    )
    split[drawn] = SPLITS.index(side)


def block_of(val: float, test: float) -> NDArray[np.uint8]:
    """Return the sides of the smallest block with these shares: (0.2, 0.1) gives seven 0, two 1 and one 2.

    Args:
        val: share of the validation images, rounded to a whole percent.
        test: share of the test images, rounded to a whole percent.

    Raises:
        InputError: a split would have less than one percent.
    """
    percent = [round(100 * share) for share in (val, test)]
    percent.insert(0, 100 - sum(percent))
    if min(percent) < 1:
        raise InputError(
            f"data.val {val:g} and data.test {test:g} give train, val and test {percent[0]}, {percent[1]} "
            f"and {percent[2]} percent of the images: each needs at least 1 percent."
        )
    return np.repeat(np.arange(3, dtype=np.uint8), [share // gcd(*percent) for share in percent])


def side_of(label: str, place: int, block: NDArray[np.uint8], seed: int) -> int:
    """Return the side, an index into `SPLITS`, of the image at `place` (from 0) among a label's images.

    Places 0 to B-1 of a label get the sides of `block` (length B) in one random order, places B to 2B-1 in
    another. Every complete block therefore has exact shares, and no image depends on any other.
    """
    number, position = divmod(place, len(block))
    order = np.random.default_rng(derive(seed, "faces", "split", label, number)).permutation(len(block))
    return int(block[order[position]])


def keep_together(
    hashes: NDArray[np.uint64], sides: NDArray[np.uint8], distance: int
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Move near-duplicates to one side, so that no pair of them is on two.

    In list order, an image moves to the side of its near-duplicates among the earlier images that were kept.
    If those are on different sides, it is left out. Later images never move earlier ones.

    Args:
        hashes, distance: as in `near_pairs`; the images are in list order.
        sides: (N,) each image's own side, an index into `SPLITS`.

    Returns:
        (N,) the sides, `LEFT_OUT` where an image is left out; (N,) True where an image has earlier
        near-duplicates and is on their side.
    """
    sides = sides.copy()
    joined = np.zeros(len(sides), dtype=bool)
    earlier, later = near_pairs(hashes, distance).T
    images, starts = np.unique(later, return_index=True)
    for i, near in zip(images, np.split(earlier, starts[1:]), strict=False):
        found = np.unique(sides[near])
        found = found[found != LEFT_OUT]
        if len(found) > 0:
            joined[i] = len(found) == 1
            sides[i] = found[0] if joined[i] else LEFT_OUT
    return sides, joined
