"""Perceptual hashes of images, and near-duplicates by their hashes."""

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


def near_duplicates(hashes: NDArray[np.uint64], i: int, distance: int) -> NDArray[np.bool_]:
    """Return which of the images before image `i` are near-duplicates of it: (i,).

    Args:
        hashes: (N, K), K kinds of perceptual hashes of each image.
        i: number of the image, from 0.
        distance: near-duplicates differ in at most this many of 64 bits, in at least one kind of hash.
    """
    return np.asarray((np.bitwise_count(hashes[:i] ^ hashes[i]) <= distance).any(axis=1))
