"""Text in any script, drawn on pictures."""

import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from anyascii import anyascii
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, features

FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
COVERED = frozenset(FT2Font(str(FONT)).get_charmap())  # code points
EAST_ASIAN = cv2.FontFace("uni")  # OpenCV's own font, for Chinese, Japanese and Korean
SHAPED = features.check("raqm") and features.check("fribidi")  # letters join, and run from right to left

# Kinds of characters: r from right to left, u East Asian, d all others that are drawn, m marks, and spaces.
RUNS = re.compile(r"r(?:[rm ]*[rm])?|u+|[dm ]+")

Color = tuple[int, int, int]


def draw(image: Image.Image, left: float, top: float, text: str, size: int, color: Color) -> None:
    """Draw one line of text on an RGB image; `size` is that of the font, in pixels."""
    image.paste(color, (round(left), round(top)), Image.fromarray(_lettered(text, size)))


def width(text: str, size: int) -> int:
    """Return the width of a line of text in pixels."""
    return len(_lettered(text, size)[0])


def height(size: int) -> int:
    """Return the height of every line of this size in pixels."""
    return len(_lettered("", size))


def shortened(text: str, size: int, available: int) -> str:
    """Cut the end off a text, with an ellipsis, so that it is at most so many pixels wide."""
    shown = text
    while text and width(shown, size) > available:
        text = text[:-1]
        shown = text.rstrip() + "…"
    return shown


def is_exact(text: str) -> bool:
    """Tell whether a font here has all letters of a text; those that none has are spelt in Latin letters."""
    return all(_kind(character) for character in text)


@lru_cache(4096)
def _lettered(text: str, size: int) -> NDArray[np.uint8]:
    """Return the opacity of a line of text, (H, W)."""
    font = ImageFont.truetype(FONT, size)
    latin = "".join(c if _kind(c) else anyascii(c) for c in text)
    kinds = "".join(map(_kind, latin))
    runs = [(kinds[run.start()], latin[run.start() : run.end()]) for run in RUNS.finditer(kinds)]
    pieces = [_east_asian(run, font) if kind == "u" else _dejavu(run, font) for kind, run in runs]
    return np.concatenate([_dejavu("", font), *pieces], axis=1)


@lru_cache(4096)
def _kind(character: str) -> str:
    """Return the kind of a character (see `RUNS`); an empty string if no font has it."""
    direction = unicodedata.bidirectional(character)
    if character == " ":
        return " "
    if ord(character) in COVERED:
        if direction in ("R", "AL"):
            return "r" if SHAPED else ""
        return "m" if direction == "NSM" else "d"
    font = ImageFont.truetype(FONT, 16)
    missing = _east_asian("?", font)  # is drawn for characters that the font lacks
    return "" if np.array_equal(_east_asian(character, font), missing) else "u"


def _dejavu(text: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    ascent, descent = font.getmetrics()
    direction = "ltr" if SHAPED else None  # of the line; words from right to left keep their own
    canvas = Image.new("L", (int(np.ceil(font.getlength(text, direction=direction))), ascent + descent))
    ImageDraw.Draw(canvas).text((0, ascent), text, 255, font, "ls", direction=direction)
    return np.asarray(canvas)


def _east_asian(text: str, font: ImageFont.FreeTypeFont) -> NDArray[np.uint8]:
    ascent, descent = font.getmetrics()
    size = int(font.size)
    _, _, wide, _ = cv2.getTextSize((1, 1), text, (0, 0), EAST_ASIAN, size)
    canvas = np.zeros((ascent + descent, wide + 2), np.uint8)
    cv2.putText(canvas, text, (1, ascent), (255,), EAST_ASIAN, size)
    return canvas
