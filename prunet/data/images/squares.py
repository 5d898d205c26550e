"""Decoding of one file of an image folder to the centre square that a data set holds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prunet.data.images import decoding


def square(path: Path, side: int) -> NDArray[np.uint8]:
    """Decode an image, scale its shorter side to `side` pixels and crop the centre square.

    Returns:
        (3, side, side) uint8.

    Raises:
        decoding.Rejection: see `decoding.read`.
    """
    pixels = Image.fromarray(decoding.read(path))
    fitted = ImageOps.fit(pixels, (side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))
