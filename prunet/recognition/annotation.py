"""Photos annotated with boxes and names of faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from prunet.base.errors import InputError
from prunet.data.faces.detection import STATUSES
from prunet.recognition.naming import UNKNOWN, Extraction, Row
from prunet.recognition.pictures import Source, load

# matplotlib's font covers more scripts than Pillow's.
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
GREEN, ORANGE = (0, 158, 115), (213, 94, 0)  # known, unknown; colours that colour-blind people can tell apart
SUFFIXES = (".jpg", ".jpeg", ".png")


class Label(NamedTuple):
    """A face to annotate."""

    box: tuple[float, float, float, float]  # x, y, width, height in pixels
    text: str
    known: bool


def annotate(
    folder: Path, extracted: Sequence[tuple[Source, Extraction]], results: Sequence[Sequence[Row]]
) -> None:
    """Write every readable photo to `folder`, with the names of its faces drawn on it.

    Args:
        folder: an existing folder.
        extracted: from `extract_all`.
        results: from `name_faces`.
    """
    for (source, extraction), rows in zip(extracted, results, strict=True):
        if extraction.status in STATUSES:
            labels = [
                Label(face.box, f"{row['name']} {row['probability']:.0%}", row["name"] != UNKNOWN)
                for face, row in zip(extraction.faces, rows, strict=False)  # a row even if there is no face
            ]
            save(draw(load(source.path), labels), folder, source.name)


def draw(photo: NDArray[np.uint8], labels: Sequence[Label]) -> Image.Image:
    """Draw each label's box and text on a photo (H, W, 3); lines and letters scale with the photo."""
    image = Image.fromarray(photo)
    canvas = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 250))
    for label in labels:
        x, y, width, height = label.box
        colour = GREEN if label.known else ORANGE
        canvas.rectangle((x, y, x + width, y + height), outline=colour, width=line)
    for label in labels:  # on top of all boxes
        _draw_text(canvas, image.size, label)
    return image


def _draw_text(canvas: ImageDraw.ImageDraw, size: tuple[int, int], label: Label) -> None:
    """Draw a label's text above its box, moved or shrunk to stay inside the photo."""
    width, height = size
    points = max(11, max(size) // 40)
    font = ImageFont.truetype(FONT, points)
    if font.getlength(label.text) > width:
        font = ImageFont.truetype(FONT, max(6, int(points * width / font.getlength(label.text))))
    across, down = font.getlength(label.text) + points // 2, points * 1.35
    x, y, *_ = label.box
    left = max(0, min(x, width - across))
    top = max(0, min(y - down, height - down))
    canvas.rectangle((left, top, left + across, top + down), fill=GREEN if label.known else ORANGE)
    canvas.text((left + points // 4, top + down / 2), label.text, "white", font, anchor="lm")


def save(image: Image.Image, folder: Path, name: str) -> None:
    """Write a photo to `folder / name`, appending `.png` unless the name is that of a JPEG or PNG file.

    Raises:
        InputError: the file exists already.
    """
    if Path(name).suffix.lower() not in SUFFIXES:
        name += ".png"
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        raise InputError(f"Two of the photos would be written as {name}; rename one of them.")
    image.save(target, quality=92)
