"""Photos with the names of the people on them."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from prunet.base.errors import InputError

# matplotlib's own font has more of the world's letters than Pillow's.
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
KNOWN, UNKNOWN = (0, 158, 115), (213, 94, 0)  # green and orange that colour-blind people tell apart
WRITTEN = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG"}


class Label(NamedTuple):
    """A face to mark."""

    box: tuple[float, float, float, float]  # x, y, width, height, in pixels
    text: str
    known: bool


def draw(photo: NDArray[np.uint8], labels: Sequence[Label]) -> Image.Image:
    """Draw a box around each face of a photo (H, W, 3) and its text above it, as large as suits the photo."""
    image = Image.fromarray(photo)
    canvas = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 250))
    for label in labels:
        x, y, width, height = label.box
        colour = KNOWN if label.known else UNKNOWN
        canvas.rectangle((x, y, x + width, y + height), outline=colour, width=line)
    for label in labels:  # over all boxes
        _write(canvas, image.size, label)
    return image


def _write(canvas: ImageDraw.ImageDraw, size: tuple[int, int], label: Label) -> None:
    width, height = size
    points = max(11, max(size) // 40)
    font = ImageFont.truetype(FONT, points)
    if font.getlength(label.text) > width:
        font = ImageFont.truetype(FONT, max(6, int(points * width / font.getlength(label.text))))
    across, down = font.getlength(label.text) + points // 2, points * 1.35
    x, y, *_ = label.box
    left = max(0, min(x, width - across))
    top = max(0, min(y - down, height - down))
    canvas.rectangle((left, top, left + across, top + down), fill=KNOWN if label.known else UNKNOWN)
    canvas.text((left + points // 4, top + down / 2), label.text, "white", font, anchor="lm")


def save(image: Image.Image, folder: Path, name: str) -> None:
    """Write a photo as `folder / name`, with `.png` added unless the name is that of a JPEG or PNG file.

    Raises:
        InputError: another photo has that name.
    """
    if Path(name).suffix.lower() not in WRITTEN:
        name += ".png"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise InputError(f"Two of the photos would be written as {name}: rename one of them.")
    image.save(target, WRITTEN[target.suffix.lower()], quality=92)
