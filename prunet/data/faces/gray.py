"""Gray faces of one size, and contact sheets for checking them by eye."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

COLUMNS = 8
CELL = 168  # pixels; fits a name of 16 hexadecimal digits
THUMBNAIL = 152  # pixels
LINE = 18  # pixels between lines of text
TITLE_HEIGHT = 70

INK, FAINT, RED, PAPER = (20, 20, 20), (110, 110, 110), (200, 20, 20), (255, 255, 255)


class Entry(NamedTuple):
    """One image of a contact sheet."""

    image: NDArray[np.uint8]  # (H, W, 3), RGB
    name: str  # printed below the image
    reason: str | None  # why the image is left out; None if it is kept


def scaled(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an image (H, W) or (H, W, 3) to `size` pixels in height and width.

    Shrinking averages areas, which avoids moiré; enlarging is cubic.
    """
    method = cv2.INTER_AREA if size < max(image.shape[:2]) else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=method).astype(np.uint8, copy=False)


def to_gray(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Convert an RGB image (H, W, 3) to luma (ITU-R BT.601), (size, size), 0 to 255."""
    return scaled(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False), size)


def contact_sheet(title: str, hint: str, entries: Sequence[Entry]) -> NDArray[np.uint8]:
    """Draw all images of one person, each above its name; images that are left out are crossed out in red.

    Args:
        title: heading of the sheet.
        hint: line below the heading.
        entries: the images.

    Returns:
        (H, W, 3) RGB, with eight images in a row.
    """
    # A single reason makes all rows two lines higher, so that names line up.
    cell_height = THUMBNAIL + LINE * (4 if any(entry.reason is not None for entry in entries) else 2)
    rows = -(-len(entries) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * CELL + 16, TITLE_HEIGHT + rows * cell_height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((16, 12), title, INK, _font(24))
    draw.text((16, 44), hint, FAINT, _font(14))
    for number, entry in enumerate(entries):
        row, column = divmod(number, COLUMNS)
        _draw_entry(sheet, draw, 16 + column * CELL, TITLE_HEIGHT + row * cell_height, entry)
    return np.array(sheet)


def _draw_entry(sheet: Image.Image, draw: ImageDraw.ImageDraw, left: int, top: int, entry: Entry) -> None:
    right, bottom = left + THUMBNAIL - 1, top + THUMBNAIL - 1
    sheet.paste(Image.fromarray(scaled(entry.image, THUMBNAIL)), (left, top))
    name_font = _font(15)
    if entry.reason is None:
        draw.text((left, bottom + 4), entry.name, INK, name_font)
        return
    draw.line((left, top, right, bottom), RED, 4)
    draw.line((left, bottom, right, top), RED, 4)
    draw.rectangle((left, top, right, bottom), outline=RED, width=4)
    draw.text((left, bottom + 4), entry.name, RED, name_font)
    for number, line in enumerate(_two_lines(entry.reason, _font(13))):
        draw.text((left, bottom + 4 + (number + 1) * LINE), line, RED, _font(13))


def _two_lines(text: str, font: Font) -> list[str]:
    """Break a text into two lines as wide as a thumbnail; cut the rest off with an ellipsis."""
    first: list[str] = []
    rest = text.split()
    while rest and (not first or font.getlength(" ".join([*first, rest[0]])) <= THUMBNAIL):
        first.append(rest.pop(0))
    return [_shortened(" ".join(words), font) for words in (first, rest)]


def _shortened(line: str, font: Font) -> str:
    shown = line
    while font.getlength(shown) > THUMBNAIL:
        line = line[:-1]
        shown = line + "…"
    return shown


def _font(size: int) -> Font:
    return ImageFont.load_default(size)
