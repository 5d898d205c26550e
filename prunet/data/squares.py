"""One file of an image folder, and its pixels as a dataset holds them."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prunet.base.errors import InputError
from prunet.data.decoding import Rejection, load_rgb, verify

MAX_PIXELS = 100_000_000  # width x height, read from the header before anything is decoded
MAX_BYTES = 200_000_000  # of a file


def square(path: Path, side: int) -> NDArray[np.uint8]:
    """Decode an image: its shorter side becomes `side` pixels long, and the centre square is kept.

    Any image becomes RGB and upright, as `prunet.data.decoding.load_rgb` says.

    Returns:
        (3, side, side) uint8.

    Raises:
        Rejection: the file is no image, is damaged, or is larger than a photo can be.
    """
    pixels = Image.fromarray(_rgb(path))
    fitted = ImageOps.fit(pixels, (side, side), Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(fitted).transpose(2, 0, 1))


def _rgb(path: Path) -> NDArray[np.uint8]:
    try:
        if not path.is_file():
            raise Rejection("unreadable", "is not there, or is no file")
        if path.stat().st_size > MAX_BYTES:
            raise Rejection("too-large", f"more than {MAX_BYTES} bytes")
        return verify(path.read_bytes(), MAX_PIXELS)[1]
    except OSError as error:
        raise Rejection("unreadable", f"cannot be read ({error.strerror})") from None
    except Rejection as reason:
        if reason.status != "too-small":  # for a face; a digit of 8 x 8 pixels is an image, too
            raise
    try:
        return load_rgb(path)
    except InputError:
        raise Rejection("broken-image", "does not decode") from None
