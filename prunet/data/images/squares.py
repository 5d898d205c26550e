"""Decoding of one file of an image folder to the centre square that a data set holds."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prunet.base.errors import InputError
from prunet.data.images.decoding import Rejection, load_rgb, verify

MAX_PIXELS = 100_000_000  # width x height, read from the header before decoding
MAX_BYTES = 200_000_000  # of a file


def square(path: Path, side: int) -> NDArray[np.uint8]:
    """Decode an image, scale its shorter side to `side` pixels and crop the centre square.

    The image is converted to upright RGB, as by `prunet.data.images.decoding.load_rgb`.

    Returns:
        (3, side, side) uint8.

    Raises:
        Rejection: the file is not an image, is damaged, or exceeds `MAX_BYTES` or `MAX_PIXELS`.
    """
    pixels = Image.fromarray(_rgb(path))
    fitted = ImageOps.fit(pixels, (side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


def _rgb(path: Path) -> NDArray[np.uint8]:
    try:
        if not path.is_file():
            raise Rejection("unreadable", "does not exist or is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise Rejection("too-large", f"has more than {MAX_BYTES} bytes")
        return verify(path.read_bytes(), MAX_PIXELS)[1]
    except OSError as error:
        raise Rejection("unreadable", f"cannot be read ({error.strerror})") from None
    except Rejection as reason:
        if reason.status != "too-small":  # only for a face: a digit of 8 x 8 pixels is a valid image
            raise
    try:
        return load_rgb(path)
    except InputError:
        raise Rejection("broken-image", "does not decode") from None
