"""Pixels of 9 to 16 bits as 8 bits.

A format of 16 bits does not say how many of them a picture uses: scanners and cameras store 10, 12 or 14 bits
in the low ones, and the high byte of such a picture is black. The rule is a step, so that the pictures of one
device are scaled alike; stretching each from its minimum to its maximum would not do that. Kept are the 8
highest bits in use, which are those of the least depth of `DEPTHS` that

- holds the picture's highest value, and
- is not below what the file states: PNG's chunk sBIT, TIFF's MaxSampleValue and BitsPerSample.

PGM and PPM need no rule, because their header gives the value of white.
"""

import math
import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.TiffImagePlugin import TiffImageFile

DEPTHS = (8, 10, 12, 14, 16)
BITS_PER_SAMPLE, PHOTOMETRIC, MAX_SAMPLE_VALUE = 258, 262, 281  # tags of a TIFF
# Pillow keeps the high bytes of 16-bit colours. Read in the other byte order (N: this machine's), the same
# data gives the low bytes; gray with transparency, four bytes a pixel, gives both if it is read as RGBA.
SWAPPED = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
OTHER_BYTES = {
    f"{mode};16{order}": f"{mode};16{SWAPPED[order]}" for mode in ("RGB", "RGBA") for order in "BLN"
}
GRAY_ALPHA = "LA;16B"

Opener = Callable[[], ImageFile]


class UnknownRange(ValueError):
    """Raised when nothing says which value is white."""


def load(data: bytes, image: ImageFile, reopen: Opener) -> Image.Image:
    """Decode an image to 8 bits a value.

    Args:
        data: the file.
        image: of which only the header was read.
        reopen: opens the file once more.

    Raises:
        UnknownRange: the values are signed, fractions, or have 32 bits.
    """
    codec, _, offset, arguments = image.tile[0] if image.tile else ("", None, 0, "")  # none yet in a WebP
    raw, *more = (arguments,) if isinstance(arguments, str) else arguments or ("",)
    if codec == "ppm":
        return Image.fromarray(_from_ppm(data[offset:], image, white=more[0]))
    image.load()
    if image.format == "PPM" and image.mode == "I":  # plain text, which Pillow scales to 16 bits
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnknownRange(f"signed, fractions or of 32 bits; mode {image.mode}")
    if image.mode.startswith("I;16"):
        gray = eight_bits(np.asarray(image), _stated(image, data))
        white_is_zero = isinstance(image, TiffImageFile) and image.tag_v2.get(PHOTOMETRIC) == 0
        return Image.fromarray(255 - gray if white_is_zero else gray)
    # A colour of which the high byte is that large needs all 16 bits.
    if raw in (*OTHER_BYTES, GRAY_ALPHA) and np.asarray(image)[..., :3].max() < 2 ** (DEPTHS[-2] - 8):
        values, stated = _colours(image, raw, reopen()), _stated(image, data)
        parts = [eight_bits(part, stated) for part in (values[..., :3], values[..., 3:]) if part.size]
        return Image.fromarray(np.concatenate(parts, axis=-1))
    return image


def eight_bits(values: NDArray[np.uint16], stated: int) -> NDArray[np.uint8]:
    """Keep the 8 highest bits in use.

    Args:
        values: of any shape.
        stated: number of bits that the file states; 16 states nothing, because the format has so many.
    """
    least = stated if stated < DEPTHS[-1] else 0
    depth = next(depth for depth in DEPTHS if depth >= max(least, int(values.max()).bit_length()))
    return (values >> (depth - 8)).astype(np.uint8)


def _from_ppm(data: bytes, image: ImageFile, white: int) -> NDArray[np.uint8]:
    """Scale values to 255 for white; Pillow does it one value at a time, in Python."""
    width, height = image.size
    shape = (height, width, 3) if image.mode == "RGB" else (height, width)
    stored = np.frombuffer(data, ">u2" if white > 255 else "u1", math.prod(shape)).reshape(shape)
    values = np.minimum(stored, white).astype(np.uint32)
    # Above 255 the high bits are kept, as by `eight_bits`.
    scaled = values * 256 // (white + 1) if white > 255 else (values * 255 + white // 2) // white
    return np.asarray(scaled, np.uint8)


def _colours(high: ImageFile, raw: str, again: ImageFile) -> NDArray[np.uint16]:
    """Return all 16 bits of colours, (H, W, 3) or (H, W, 4), of which `high` has the high bytes."""
    other = "RGBA" if raw == GRAY_ALPHA else OTHER_BYTES[raw]
    again.tile = [
        tile._replace(args=other if isinstance(tile.args, str) else (other, *(tile.args or ())[1:]))
        for tile in again.tile
    ]
    again.load()
    decoded = np.asarray(again).astype(np.uint16)
    if raw == GRAY_ALPHA:
        gray, alpha = (decoded[..., first] << 8 | decoded[..., first + 1] for first in (0, 2))
        return np.stack([gray, gray, gray, alpha], axis=-1)
    return np.asarray(np.asarray(high).astype(np.uint16) << 8 | decoded, np.uint16)


def _stated(image: ImageFile, data: bytes) -> int:
    """Return the number of bits that a PNG or TIFF states, or 0."""
    if isinstance(image, TiffImageFile):
        white = image.tag_v2.get(MAX_SAMPLE_VALUE, 0)
        bits = image.tag_v2.get(BITS_PER_SAMPLE, 0)
        white, bits = (max(value) if isinstance(value, tuple) else value for value in (white, bits))
        return int(bits) if bits < DEPTHS[-1] else int(white).bit_length()
    chunk = data.find(b"sBIT", 0, data.find(b"IDAT"))
    size = data[chunk - 1]  # the last byte of the chunk's length: one to four channels
    return max(data[chunk + 4 : chunk + 4 + size]) if chunk > 0 and 0 < size <= 4 else 0
