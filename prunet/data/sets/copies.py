"""Pictures that a data set holds more than once: no copy may lie on another side of the split."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prunet.data.hashing import near_pairs, perceptual_hash
from prunet.data.sets.splitting import LEFT_OUT

SIDE = 32  # pixels a side of the gray image that is hashed
# Perceptual hashes compare layouts, which drawings and digits share: of 20,000 digits of MNIST, half are
# within 4 bits of another. Copies share the details as well.
MIN_CORRELATION = 0.99
AT_ONCE = 50_000  # pairs whose details are compared at a time


class Fingerprint(NamedTuple):
    """Traits of an image by which its copies are found."""

    hash: np.uint64  # perceptual
    thumbnail: NDArray[np.uint8]  # (256,) gray, 16 x 16


def fingerprint(pixels: NDArray[np.uint8]) -> Fingerprint:
    """Return the traits of an image (3, H, W)."""
    gray = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).convert("L")
    small = gray.resize((SIDE, SIDE), Image.Resampling.BOX)
    return Fingerprint(perceptual_hash(np.asarray(small)), np.asarray(small.reduce(2)).reshape(-1))


def pictures(hashes: NDArray[np.uint64], thumbnails: NDArray[np.uint8], distance: int) -> NDArray[np.int64]:
    """Return the number of the picture (N,) that each image shows; copies have the number of the first.

    Copies are identical, encoded anew, resized, brightened, or gray: their hashes differ in at most
    `distance` of 64 bits, and their thumbnails correlate by at least `MIN_CORRELATION`. Copies of copies are
    copies.

    Args:
        hashes, thumbnails: (N,) and (N, 256), a `Fingerprint` of each image.
        distance: bits.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows = np.concatenate([hashes[:, None].view(np.uint8), thumbnails], axis=1)
    _, first, same = np.unique(rows, axis=0, return_index=True, return_inverse=True)
    pairs = first[near_pairs(hashes[first, None], distance)]
    pairs = pairs[_same_details(thumbnails, pairs)]
    edges = np.concatenate([pairs, np.stack([first[same], np.arange(len(hashes))], axis=1)])
    graph = coo_array((np.ones(len(edges), bool), edges.T), shape=(len(hashes), len(hashes)))
    _, group = connected_components(graph, directed=False)
    _, leaders, member = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(leaders[member], np.int64)


def _same_details(thumbnails: NDArray[np.uint8], pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether the thumbnails of each pair correlate; one of a single gray correlates with none."""
    parts = [np.empty(0, bool)]
    for start in range(0, len(pairs), AT_ONCE):
        one, other = (thumbnails[column].astype(np.float32) for column in pairs[start : start + AT_ONCE].T)
        one, other = (values - values.mean(axis=1, keepdims=True) for values in (one, other))
        scale = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
        parts.append(((one * other).sum(axis=1) >= MIN_CORRELATION * scale) & (scale > 0))
    return np.concatenate(parts)


def leave_out_copies(split: NDArray[np.uint8], picture: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the split (N,) without copies on two sides: test comes before val, and val before train.

    Copies of a test image are `LEFT_OUT` of val and train; copies of a validation image, of train.

    Args:
        split: (N,) indices into `SPLITS`, or `LEFT_OUT`.
        picture: from `pictures`.
    """
    side = np.where(split == LEFT_OUT, 0, split)
    highest = np.zeros(len(split), np.uint8)
    np.maximum.at(highest, picture, side)
    return np.where(split < highest[picture], LEFT_OUT, split).astype(np.uint8)
