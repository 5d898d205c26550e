"""Decoding of image files from untrusted sources to 8-bit RGB."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from prunet.base.errors import InputError

# Pillow's own limit is process-wide and at first only warns; `verify` checks max_pixels instead.
Image.MAX_IMAGE_PIXELS = None

MIN_SIDE = 16
MAX_SCANS = 200  # in a JPEG; encoders write about 10
START_OF_SCAN = b"\xff\xda"
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # PPM includes PGM and PBM
EXTENSIONS = {"JPEG": "jpg", "MPO": "jpg"}  # MPO: a JPEG followed by more pictures
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*")


class Rejection(Exception):
    """Raised when a file or url yields no image: a status of `listing.statuses` and a readable detail."""

    def __init__(self, status: str, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status
        self.detail = detail


def verify(data: bytes, max_pixels: int) -> tuple[str, npt.NDArray[np.uint8]]:
    """Decode `data` completely, as `load_rgb` does, and return its file extension and pixels.

    Args:
        data: the contents of a file.
        max_pixels: largest allowed width x height, checked in the header before decoding.

    Returns:
        The extension that fits the contents (jpg, png, webp, gif, bmp, tiff or ppm), and the pixels: RGB,
        uint8, shape (height, width, 3).

    Raises:
        Rejection: `not-an-image`, `broken-image`, `too-small` (a side under 16 pixels) or `too-large`.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Exception as error:  # corrupt data makes decoders raise almost anything
        raise _unidentified(data) from error
    with image:
        width, height = image.size
        if width * height > max_pixels:
            raise Rejection("too-large", f"{width} x {height} pixels are more than {max_pixels}")
        if min(width, height) < MIN_SIDE:
            raise Rejection("too-small", f"{width} x {height} pixels; each side needs at least {MIN_SIDE}")
        name = str(image.format)
        # A few bytes can demand one more pass over all pixels: a megabyte of them takes minutes.
        if name in ("JPEG", "MPO") and data.count(START_OF_SCAN) > MAX_SCANS:
            raise Rejection("too-large", f"a JPEG with more than {MAX_SCANS} scans")
        try:
            pixels = _rgb(image)
        except Exception as error:
            raise Rejection("broken-image", f"does not decode ({error})") from error
    return EXTENSIONS.get(name, name.lower()), pixels


def _unidentified(data: bytes) -> Rejection:
    if data.startswith(SIGNATURES) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return Rejection("broken-image", "starts like an image, but its header is damaged or cut off")
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not data:
        return Rejection("not-an-image", "is empty")
    if b"<svg" in start:
        return Rejection("not-an-image", "is an SVG drawing")
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<!--")):
        return Rejection("not-an-image", "is an HTML page")
    return Rejection("not-an-image", "is not a JPEG, PNG, WebP, GIF, BMP, TIFF or PPM image")


def load_rgb(path: Path) -> npt.NDArray[np.uint8]:
    """Load an image as RGB, uint8, shape (height, width, 3), upright according to its EXIF orientation.

    16-bit values keep their high byte, transparent parts become white, and an animation is reduced to its
    first frame. Colour profiles are not applied.

    Raises:
        InputError: the file is missing or cannot be decoded.
    """
    try:
        # Read into memory first, as in `verify`: Pillow decodes some rotated TIFF files wrongly from a map.
        with Image.open(io.BytesIO(path.read_bytes()), formats=FORMATS) as image:
            return _rgb(image)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; rerun the stage that writes it.") from None
    except Exception as error:
        raise InputError(f"{path} cannot be decoded as an image; delete it.") from error


def _rgb(image: Image.Image) -> npt.NDArray[np.uint8]:
    image.load()  # before the orientation is read, because loading already rotates a TIFF
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16"):  # convert() would clip these to 255 instead of scaling them
        grey = (np.asarray(image) >> 8).astype(np.uint8)
        return np.stack([grey] * 3, axis=-1)
    if image.mode in ("I", "F"):
        raise ValueError(f"32-bit values, mode {image.mode}, have no known range")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return np.array(image.convert("RGB"))
