"""Pictures of the cleaning page, as JPEG files in memory."""

import io
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from prunet.data.images.decoding import load_rgb

FACE = 192  # pixels a side
PHOTO = 1600  # pixels, longest side
BOX = (255, 90, 0)


def face(path: Path) -> bytes:
    """Return a crop at the size that the page shows.

    Raises:
        InputError: it is missing or damaged.
    """
    return _jpeg(ImageOps.contain(Image.fromarray(load_rgb(path)), (FACE, FACE)))


def photo(path: Path, row: Mapping[str, str]) -> bytes:
    """Return a photo with the box of its face.

    Args:
        path: the photo.
        row: of the crops' manifest.

    Raises:
        InputError: it is missing or damaged.
    """
    whole = Image.fromarray(load_rgb(path))
    shrink = min(1, PHOTO / max(whole.size))
    shown = whole.resize((max(1, round(whole.width * shrink)), max(1, round(whole.height * shrink))))
    left, top, width, height = (float(row[name]) * shrink for name in ("x", "y", "width", "height"))
    line = max(2, max(shown.size) // 200)
    box = (left, top, left + max(width, 1), top + max(height, 1))
    ImageDraw.Draw(shown).rectangle(box, outline=BOX, width=line)
    return _jpeg(shown)


def _jpeg(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    return stream.getvalue()
