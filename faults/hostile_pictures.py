"""Pictures as found on the web: of every format, damaged, and malicious."""

import gzip
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

Picture = Callable[[int], bytes]  # makes another picture from every number

SIZE = (32, 24)  # width, height in pixels


def noise(number: int, mode: str = "RGB") -> Image.Image:
    """Draw 32x24 pixels of noise."""
    width, height = SIZE
    pixels = np.random.default_rng(number).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels).convert(mode)


def encode(image: Image.Image, format_name: str, **options: Any) -> bytes:
    """Return the bytes of an image file."""
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue()


def plain(format_name: str, mode: str = "RGB", **options: Any) -> Picture:
    """Make pictures of a format and mode."""
    return lambda number: encode(noise(number, mode), format_name, **options)


def animated(format_name: str) -> Picture:
    """Make animations of two frames."""
    return lambda number: encode(
        noise(number), format_name, save_all=True, append_images=[noise(number + 10**6)]
    )


def deep(number: int) -> bytes:
    """Make a PNG with 16 bits per pixel."""
    pixels = np.random.default_rng(number).integers(0, 2**16, SIZE[::-1], dtype=np.uint16)
    return encode(Image.fromarray(pixels), "PNG")


def turned(number: int) -> bytes:
    """Make a JPEG with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = 1 + number % 8
    return encode(noise(number), "JPEG", exif=exif)


def scribbled(number: int) -> bytes:
    """Make a good JPEG whose EXIF data are noise."""
    noisy = np.random.default_rng(number).bytes(100)
    return encode(noise(number), "JPEG", exif=b"Exif\0\0" + noisy)


def truncated(format_name: str) -> Picture:
    """Make files that lack their second half."""
    whole = plain(format_name)
    return lambda number: (data := whole(number))[: len(data) // 2]


def damaged(format_name: str) -> Picture:
    """Make files with ten wrong bytes at random positions; some still decode."""
    whole = plain(format_name)

    def make(number: int) -> bytes:
        data = bytearray(whole(number))
        generator = np.random.default_rng(number)
        for position in generator.integers(0, len(data), 10):
            data[position] = generator.integers(0, 256)
        return bytes(data)

    return make


def chunk(name: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bomb(number: int, side: int = 30_000) -> bytes:
    """Make a PNG of a few hundred bytes whose header announces 30,000 x 30,000 pixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(100_000)) + b"%d" % number
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def text_bomb(number: int) -> bytes:
    """Make a good PNG with a compressed comment of 100 MB."""
    data = encode(noise(number), "PNG")
    return data[:33] + chunk(b"zTXt", b"Comment\0\0" + PACKED_ZEROS) + data[33:]


def header_only(number: int) -> bytes:
    """Make a JPEG whose header announces 30,000 x 30,000 pixels."""
    data = encode(noise(number), "JPEG")
    frame = data.index(b"\xff\xc0") + 5
    return data[:frame] + struct.pack(">HH", 30_000, 30_000) + data[frame + 4 :]


PACKED_ZEROS = zlib.compress(bytes(100_000_000), 9)
GZIP_BOMB = gzip.compress(bytes(100_000_000), 9)

GOOD: dict[str, Picture] = {
    "jpeg": plain("JPEG"),
    "progressive jpeg": plain("JPEG", progressive=True),
    "png": plain("PNG"),
    "webp": plain("WEBP", lossless=True),
    "avif": plain("AVIF"),
    "gif": plain("GIF"),
    "bmp": plain("BMP"),
    "tiff": plain("TIFF"),
    "animated gif": animated("GIF"),
    "animated webp": animated("WEBP"),
    "bad exif data": scribbled,
    "16 bits": deep,
    "cmyk": plain("JPEG", "CMYK"),
    "grey": plain("JPEG", "L"),
    "palette": plain("PNG", "P"),
    "alpha": plain("PNG", "RGBA"),
    "exif rotation": turned,
}
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF")
NOT_READ = ("broken-image", "unsupported", "not-an-image")
BAD: dict[str, tuple[Picture, tuple[str, ...]]] = {
    **{f"truncated {name}": (truncated(name), ("broken-image",)) for name in FORMATS},
    **{f"damaged {name}": (damaged(name), ("ok", *NOT_READ, "too-large", "too-small")) for name in FORMATS},
    "decompression bomb": (bomb, ("too-large",)),
    "30,000 x 30,000 header": (header_only, ("too-large",)),
    "text bomb": (text_bomb, ("ok", "broken-image")),
    "tiny": (lambda number: encode(Image.new("RGB", (1, 1), (number % 256, 0, 0)), "PNG"), ("too-small",)),
    "html": (lambda number: b"<!DOCTYPE html><title>%d</title>" % number, ("not-an-image",)),
    "svg": (lambda number: b'<svg xmlns="http://www.w3.org/2000/svg">%d</svg>' % number, ("unsupported",)),
    "heic": (lambda number: b"\0\0\0\x14ftypheic%08dheic" % number, ("unsupported",)),
    "zip": (lambda number: b"PK\x03\x04" + bytes(100) + b"%d" % number, ("not-an-image",)),
    "empty": (lambda number: b"", ("not-an-image",)),
}
