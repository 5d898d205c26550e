"""Photos annotated with boxes and names of faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prunet.base.errors import InputError
from prunet.data.faces import lettering
from prunet.data.faces.detection import STATUSES
from prunet.recognition.naming import Extraction, Row, score_text
from prunet.recognition.pictures import Source, load

GREEN, ORANGE = (0, 158, 115), (213, 94, 0)  # known, unknown; colours that colour-blind people can tell apart
WHITE = (255, 255, 255)
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
                Label(face.box, text(row), row["known"])
                for face, row in zip(extraction.faces, rows, strict=False)  # a row even if there is no face
            ]
            save(draw(load(source.path), labels), folder, source.name)


def text(row: Row) -> str:
    """Return the name and score of a face; that of an unknown one is a word without a score."""
    return f"{row['name']} {score_text(row)}" if row["known"] else "unknown"


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
        _draw_text(image, label)
    return image


def _draw_text(image: Image.Image, label: Label) -> None:
    """Draw a label's text above its box, moved or shrunk to stay inside the photo."""
    width, height = image.size
    points = max(11, max(image.size) // 40)
    text_width = lettering.width(label.text, points)
    if text_width > width:
        points = max(6, points * width // text_width)
    across, down = lettering.width(label.text, points) + points // 2, lettering.height(points)
    x, y, *_ = label.box
    left, top = round(max(0, min(x, width - across))), round(max(0, min(y - down, height - down)))
    box = (left, top, left + across, top + down)
    ImageDraw.Draw(image).rectangle(box, fill=GREEN if label.known else ORANGE)
    lettering.draw(image, left + points // 4, top, label.text, points, WHITE)


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
