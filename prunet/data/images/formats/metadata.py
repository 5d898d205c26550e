"""Pictures without their metadata, for files whose pixels are good and whose metadata are damaged."""

import struct
import zlib
from collections.abc import Callable

from PIL import Image

ORIENTATION = 0x0112  # the EXIF tag
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright(image: Image.Image, pixels: Image.Image) -> Image.Image:
    """Turn the pixels of an image as its EXIF orientation asks; damaged EXIF data ask for nothing."""
    try:
        turn = TURNS.get(image.getexif().get(ORIENTATION, 1))
    except Exception:  # like decoders, Pillow's reader of EXIF data may raise almost anything
        return pixels
    return pixels if turn is None else pixels.transpose(turn)


def _without_chunks(data: bytes) -> bytes:
    """Keep the chunks of a PNG that its pixels need, and its EXIF data if their checksum is right."""
    kept, start = [data[:8]], 8
    while start + 12 <= len(data):
        length, name = struct.unpack_from(">I4s", data, start)
        end = start + 12 + length
        whole = data[end - 4 : end] == struct.pack(">I", zlib.crc32(data[start + 4 : end - 4]))
        if name[:1].isupper() or name == b"tRNS" or (name == b"eXIf" and whole):
            kept.append(data[start:end])
        start = end
    return b"".join(kept)


def _without_exif_item(data: bytes) -> bytes:
    """Rename the item of an AVIF that holds its EXIF data to one that readers ignore."""
    return data.replace(b"Exif", b"free")


# The other formats' metadata do not keep Pillow from reading the pixels.
STRIP: dict[str, Callable[[bytes], bytes]] = {"PNG": _without_chunks, "AVIF": _without_exif_item}
