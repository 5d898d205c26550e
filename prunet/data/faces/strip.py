"""Images of people in a grid: a row for each person, beside the person's name."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from prunet.data.faces import lettering

WIDTH = 1400  # pixels
NAMES = 220  # pixels for the names, on the left
GAP = 12  # pixels between images
TITLE, TEXT = 30, 22  # sizes of letters
INK, PAPER = (20, 20, 20), (255, 255, 255)


def save_strip(
    path: Path,
    people: Mapping[str, Sequence[NDArray[np.uint8]]],
    columns: int,
    headings: Sequence[str],
    title: str,
) -> None:
    """Draw images in a grid and save it as a PNG; equal images give equal bytes.

    Args:
        path: the file to write.
        people: images of each person, (H, W, 3) or (H, W) uint8.
        columns: images in a row.
        headings: headings of the columns; none if empty.
        title: title of the picture.
    """
    side = (WIDTH - NAMES) // columns - GAP
    top = lettering.height(TITLE) + GAP * 2 + (lettering.height(TEXT) + GAP if headings else 0)
    picture = Image.new("RGB", (WIDTH, top + len(people) * (side + GAP)), PAPER)
    lettering.draw(picture, GAP, GAP, title, TITLE, INK)
    lefts = [NAMES + column * (side + GAP) for column in range(columns)]
    for left, heading in zip(lefts, headings, strict=False):
        lettering.draw(picture, left, top - lettering.height(TEXT) - GAP, heading, TEXT, INK)
    for number, (name, images) in enumerate(people.items()):
        row = top + number * (side + GAP)
        shown = lettering.shortened(name, TEXT, NAMES - 2 * GAP)
        lettering.draw(picture, GAP, row + (side - lettering.height(TEXT)) // 2, shown, TEXT, INK)
        for left, image in zip(lefts, images, strict=False):
            scaled = ImageOps.contain(Image.fromarray(image), (side, side), Image.Resampling.BICUBIC)
            picture.paste(scaled, (left + (side - scaled.width) // 2, row + (side - scaled.height) // 2))
    picture.save(path)
