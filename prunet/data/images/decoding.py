"""Decoding of picture files from untrusted sources to 8-bit RGB."""

import math
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.images.formats import depth, known, metadata, unread

MIN_SIDE = 16  # pixels of a photo; a digit may have less
MAX_SCANS = 200  # in a JPEG; encoders write about 10
START_OF_SCAN = b"\xff\xda"
# Limits of files that the user keeps, as opposed to those fetched.
MAX_PIXELS = 100_000_000  # width x height, read from the header before decoding
MAX_BYTES = 200_000_000


class Rejection(Exception):
    """Raised when a file or url yields no image: a status of `listing.statuses` and a readable detail."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


def verify(data: bytes, max_pixels: float, min_side: int = MIN_SIDE) -> tuple[str, npt.NDArray[np.uint8]]:
    """Decode a picture completely; its contents alone decide its format.

    Pixels are upright according to the EXIF orientation, if that can be read. Values of more than 8 bits are
    scaled by the rule of `formats.depth`, transparent parts become white, and of several frames the first is
    taken. Colour profiles are not applied.

    Args:
        data: the contents of a file.
        max_pixels: largest allowed width x height, checked in the header before decoding.
        min_side: pixels that each side needs.

    Returns:
        The extension that fits the contents, one of `formats.known.READ`, and the pixels: RGB, uint8, shape
        (height, width, 3).

    Raises:
        Rejection: `not-an-image`, `unsupported` (a picture that is not read, by format or kind),
            `broken-image`, `too-small` or `too-large`.
    """
    found = known.find(data)
    if found is None:
        raise Rejection(*unread.refusal(data))
    if not found.available:
        detail = f"is {found.name}, which this build of Pillow cannot decode: install Pillow from PyPI"
        raise Rejection("unsupported", detail)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about damaged metadata and the like; the pixels count
        try:
            pixels = _decode(found, data, max_pixels, min_side)
        except Rejection as rejection:
            strip = metadata.STRIP.get(found.name)
            if rejection.status != "broken-image" or strip is None or (rest := strip(data)) == data:
                raise
            pixels = _decode(found, rest, max_pixels, min_side)
    return found.extension, pixels


def read(path: Path) -> npt.NDArray[np.uint8]:
    """Decode a file of the user, of any size up to `MAX_BYTES` and `MAX_PIXELS`, as by `verify`.

    Raises:
        Rejection: as by `verify`, but not `too-small`; `unreadable` if it is missing or not a file.
    """
    try:
        if not path.is_file():
            raise Rejection("unreadable", "does not exist or is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise Rejection("too-large", f"has more than {MAX_BYTES} bytes")
        return verify(path.read_bytes(), MAX_PIXELS, min_side=1)[1]
    except OSError as error:
        raise Rejection("unreadable", f"cannot be read ({error.strerror})") from None


def load_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Load a picture that an earlier stage verified or wrote, as by `verify`.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        return verify(path.read_bytes(), math.inf, min_side=1)[1]
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}; rerun the stage that writes it.") from None
    except Rejection as rejection:
        raise InputError(f"{path} {rejection.detail}; rerun the stage that writes it.") from None


def _decode(found: known.Format, data: bytes, max_pixels: float, min_side: int) -> npt.NDArray[np.uint8]:
    """Return the pixels of a picture of a format that is read.

    Raises:
        Rejection: see `verify`.
    """
    try:
        image = found.open(data)
    except Image.DecompressionBombError as error:  # of Pillow itself, in WebP and GIF
        raise Rejection("too-large", "has too many pixels") from error
    except Exception as error:  # corrupt data makes decoders raise almost anything
        raise Rejection(*unread.damage(found, data, error)) from error
    with image:
        width, height = image.size
        if width * height > max_pixels:
            raise Rejection("too-large", f"{width} x {height} pixels are more than {max_pixels}")
        if min(width, height) < min_side:
            raise Rejection("too-small", f"{width} x {height} pixels; each side needs at least {min_side}")
        # A few bytes can demand one more pass over all pixels: a megabyte of them takes minutes.
        if found.name == "JPEG" and data.count(START_OF_SCAN) > MAX_SCANS:
            raise Rejection("too-large", f"a JPEG with more than {MAX_SCANS} scans")
        if unread.is_raw(image):
            raise Rejection(*unread.unsupported(unread.RAW))
        try:
            pixels = depth.load(data, image, partial(found.open, data))
            return _rgb(metadata.upright(image, pixels))
        except depth.UnknownRange as error:
            detail = f"has values of unknown range ({error}): save it with 8 or 16 bits"
            raise Rejection("unsupported", detail) from None
        except Exception as error:
            raise Rejection(*unread.undecoded(found, error)) from error


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))
