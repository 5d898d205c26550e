"""Small pictures inside the page, as data URLs."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from prunet.analysis.report.reading import records

SIDE = 56  # pixels of a picture
COLUMNS = 8
IMAGES, OF_A_CLASS, CLASSES, WRONG, DOUBTFUL = 480, 64, 100, 40, 20  # most that a page shows


def sheets(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a sheet of images for each class of a data set: the class's name and a data URL."""
    names = data["class_names"][:CLASSES]
    count = min(OF_A_CLASS, max(1, IMAGES // len(names)))
    return [
        (name, data_url(_sheet(data["images"][np.flatnonzero(data["labels"] == number)[:count]])))
        for number, name in enumerate(names)
    ]


def wrong(data: Mapping[str, Any], mistakes: pd.DataFrame) -> list[tuple[str, str]]:
    """Return a caption and a data URL for the images that most networks get wrong, from mistakes.csv."""
    return [
        (
            f"{row['true']}, named {row['named']} by {row['networks']} of {row['of']}",
            data_url(small(data["images"][row["image"]])),
        )
        for row in records(mistakes.head(WRONG))
        if row["image"] < len(data["images"])
    ]


def doubtful(data: Mapping[str, Any], manifest: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    """Return a caption and a data URL for the faces of a data set that are most in doubt.

    `manifest` has the rows of the gray faces; only those with doubts whose images the data set uses count.
    """
    numbers = {name: number for number, name in enumerate(data["files"] or [])}
    found = [row for row in manifest if row["image"] in numbers and float(row["doubt_score"]) > 0]
    found.sort(key=lambda row: -float(row["doubt_score"]))
    return [
        (f"{row['label']}: {row['doubt_reasons']}", data_url(small(data["images"][numbers[row["image"]]])))
        for row in found[:DOUBTFUL]
    ]


def _sheet(images: NDArray[np.uint8]) -> Image.Image:
    """Draw (N, C, H, W) images in rows of `COLUMNS`."""
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * SIDE), "#808080")
    for number, image in enumerate(images):
        row, column = divmod(number, COLUMNS)
        sheet.paste(small(image), (column * SIDE, row * SIDE))
    return sheet


def small(image: NDArray[np.uint8]) -> Image.Image:
    """Return a (C, H, W) image of one or three channels with `SIDE` pixels a side."""
    pixels: NDArray[Any] = np.broadcast_to(image, (3, *image.shape[1:])).transpose(1, 2, 0)
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((SIDE, SIDE), Image.Resampling.BOX)


def data_url(picture: Image.Image) -> str:
    """Return a picture as JPEG inside an address."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
