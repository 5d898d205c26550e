"""Formats of pictures that are read, recognised by their first bytes.

They are those of photos on the web and of published data sets. The other decoders of Pillow stay off: those
of JPEG 2000, PSD, SGI, PCX, FLI, ICNS and DDS, because hardly a photo is stored so and most of them once let
attackers write out of bounds; EPS, because it starts Ghostscript; TGA, because it has no signature; ICO,
because it holds icons.
"""

import io
import re
from collections.abc import Callable
from typing import NamedTuple

from PIL import features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile


class Format(NamedTuple):
    """A format of pictures that is read.

    Attributes:
        name: as people write it.
        extension: of file names, without the dot.
        media_type: as servers name it.
        signature: pattern of a file's first bytes.
        reader: reads the header of a file; unlike `PIL.Image.open`, it does not look at the process-wide
            `PIL.Image.MAX_IMAGE_PIXELS`.
        module: the part of Pillow that some builds lack, or "".
    """

    name: str
    extension: str
    media_type: str
    signature: bytes
    reader: Callable[[io.BytesIO], ImageFile]
    module: str = ""

    def open(self, data: bytes) -> ImageFile:
        """Read the header; the pixels are decoded by the image's `load`."""
        return self.reader(io.BytesIO(data))

    @property
    def available(self) -> bool:
        """Whether this build of Pillow reads the format."""
        return not self.module or bool(features.check(self.module))


BRANDS = rb".{4}ftyp(?:.{4}){0,15}?"  # the start of a file of the MPEG-4 family, up to one of its brands

READ = (
    Format("JPEG", "jpg", "image/jpeg", rb"\xff\xd8\xff", JpegImageFile),
    Format("PNG", "png", "image/png", rb"\x89PNG\r\n\x1a\n", PngImageFile),
    Format("WebP", "webp", "image/webp", rb"RIFF.{4}WEBP", WebPImageFile, "webp"),
    Format("AVIF", "avif", "image/avif", BRANDS + rb"avi[fs]", AvifImageFile, "avif"),
    Format("GIF", "gif", "image/gif", rb"GIF8[79]a", GifImageFile),
    Format("BMP", "bmp", "image/bmp", rb"BM", BmpImageFile),
    Format("TIFF", "tiff", "image/tiff", rb"II[*+]\0(?!\x10\0\0\0CR)|MM\0[*+]", TiffImageFile),
    Format("PPM", "ppm", "image/x-portable-anymap", rb"P[1-6]\s", PpmImageFile),  # includes PGM and PBM
)


def find(data: bytes) -> Format | None:
    """Return the format that a file's first bytes announce, or None if it is not one of `READ`."""
    return next((known for known in READ if starts(data, known.signature)), None)


def starts(data: bytes, signature: bytes) -> bool:
    """Return whether the first bytes of a file match a pattern."""
    return re.match(b"(?s)" + signature, data[:1000].removeprefix(b"\xef\xbb\xbf")) is not None


def accept_header() -> str:
    """Return the HTTP header Accept: every format that is read, and anything else only for lack of these.

    Without the last part, a server that has only another format answers with an error instead of the picture,
    and the report could not name the format.
    """
    return ", ".join([*(known.media_type for known in READ if known.available), "*/*;q=0.1"])


def listing() -> str:
    """Return the names of the formats that are read, as in "JPEG, PNG or GIF"."""
    names = [known.name for known in READ if known.available]
    return f"{', '.join(names[:-1])} or {names[-1]}"
