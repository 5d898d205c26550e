"""Grayscale faces of one size, and contact sheets on which a person can check them."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

COLUMNS = 8
CELL = 168  # pixels across: room for a name of 16 hexadecimal digits
THUMBNAIL = 152
LINE = 18  # pixels from one line of text to the next
TITLE_HEIGHT = 70

INK, FAINT, RED, PAPER = (20, 20, 20), (110, 110, 110), (200, 20, 20), (255, 255, 255)


class Entry(NamedTuple):
    """One picture of a contact sheet."""

    image: NDArray[np.uint8]  # (H, W, 3), RGB
    name: str  # printed below
    reason: str | None  # why it is left out; None if it is kept


def scaled(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an image (H, W) or (H, W, 3) to `size` pixels in height and width.

    Shrinking averages areas, so that fine texture does not turn into moiré; enlarging is cubic.
    """
    method = cv2.INTER_AREA if size < max(image.shape[:2]) else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=method).astype(np.uint8, copy=False)


def to_gray(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return an RGB image (H, W, 3) as (size, size) luma (ITU-R BT.601), 0 to 255."""
    return scaled(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False), size)


def contact_sheet(title: str, hint: str, entries: Sequence[Entry]) -> NDArray[np.uint8]:
    """Draw all pictures of one person, each with its name below; those left out are crossed out in red.

    Return (H, W, 3) RGB, eight pictures across.
    """
    # Every row is as high as one with two lines of reason if any has a reason: the names then line up.
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
    for number, line in enumerate(_wrap(entry.reason, _font(13), lines=2)):
        draw.text((left, bottom + 4 + (number + 1) * LINE), line, RED, _font(13))


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, lines: int) -> list[str]:
    """Break a text into at most `lines` lines as wide as a picture; what does not fit ends in an ellipsis."""
    wrapped = [""]
    for word in text.split():
        longer = f"{wrapped[-1]} {word}".strip()
        if font.getlength(longer) <= THUMBNAIL or not wrapped[-1]:
            wrapped[-1] = longer
        else:
            wrapped.append(word)
    if len(wrapped) > lines:
        wrapped = [*wrapped[: lines - 1], " ".join(wrapped[lines - 1 :])]
    return [_shortened(line, font) for line in wrapped]


def _shortened(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(line) <= THUMBNAIL:
        return line
    while font.getlength(line + "…") > THUMBNAIL:
        line = line[:-1]
    return line + "…"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
