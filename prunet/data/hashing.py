"""Perceptual hashes of images, and near-duplicates by their hashes."""

from itertools import pairwise

import imagehash
import numpy as np
import scipy.fftpack  # noqa: F401 - ImageHash imports it at the first hash; import it before processes fork
from numpy.typing import NDArray
from PIL import Image


def perceptual_hash(image: NDArray[np.uint8]) -> np.uint64:
    """Return the 64-bit perceptual hash of an image (H, W) or (H, W, 3); similar images differ in few bits.

    Each bit tells whether one of the 8 x 8 lowest cosine frequencies exceeds their median (`phash` of
    ImageHash; Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    bits = imagehash.phash(Image.fromarray(image)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes()))


def near_pairs(hashes: NDArray[np.uint64], distance: int) -> NDArray[np.int64]:
    """Return all pairs of near-duplicates: (P, 2) numbers of images, the earlier of each pair first.

    Pairs are sorted by their later image, then by the earlier one. Hashes that differ in at most d bits agree
    in at least one of d + 1 bands of bits, so that only images that share a band are compared.

    Args:
        hashes: (N, K), K kinds of perceptual hashes of each image.
        distance: near-duplicates differ in at most this many of 64 bits, in at least one kind of hash.
    """
    count = len(hashes)
    found = [np.empty(0, np.int64)]
    for kind in hashes.T:
        for low, high in pairwise(np.linspace(0, 64, distance + 2).astype(int).tolist()):
            band = (kind >> np.uint64(low)) & np.uint64((1 << (high - low)) - 1)
            order = np.argsort(band, kind="stable")
            first = np.arange(count)
            for step in range(1, count):  # compare each image with the one so many places further
                first = first[first < count - step]
                first = first[band[order[first]] == band[order[first + step]]]
                if len(first) == 0:
                    break
                earlier, later = order[first], order[first + step]
                near = np.bitwise_count(kind[earlier] ^ kind[later]) <= distance
                found.append(later[near] * count + earlier[near])
    later, earlier = np.divmod(np.unique(np.concatenate(found)), max(1, count))
    return np.stack([earlier, later], axis=1)
