"""Perceptual hash of an image."""

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
