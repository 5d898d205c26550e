"""Small pictures inside the page, as data URLs."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.images import dataset

SIDE = 56  # pixels of a picture
COLUMNS = 8
IMAGES, OF_A_CLASS, CLASSES = 480, 64, 100  # most that a page shows


def sheets(path: Path) -> list[tuple[str, str]]:
    """Return a sheet of images for each class of a dataset file: the class's name and a data URL.

    Raises:
        InputError: the file cannot be read, or its images stay on disk.
    """
    data = dataset.load(path)
    if not isinstance(data["images"], np.ndarray):
        raise InputError(f"{path} holds no pixels: its images stay on disk, and are not shown.")
    names = data["class_names"][:CLASSES]
    count = min(OF_A_CLASS, max(1, IMAGES // len(names)))
    return [
        (name, data_url(_sheet(data["images"][np.flatnonzero(data["labels"] == number)[:count]])))
        for number, name in enumerate(names)
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
