"""Which digit is on a scan: its picture becomes what MNIST would have made of it."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Pixels that a digit's longer side takes, by the side of the image: optdigits' fill it, MNIST's have room.
BOX = {8: 8, 28: 20}
FAINT = 32  # gray levels of 255: a picture with less contrast is blank
INK = 0.35  # of the contrast: what is fainter is paper


def normalised(picture: NDArray[np.uint8], stored: int) -> NDArray[np.uint8] | None:
    """Make a picture of a digit (H, W, 3) RGB what the dataset stores, (stored, stored); None if it is blank.

    A gray picture of that size with light strokes on dark is that already. Any other is treated as MNIST's
    were (LeCun, Bottou, Bengio & Haffner 1998, section III.A): the ink, dark on light or light on dark, is
    scaled to a box of 20 pixels with its aspect ratio kept, and the box is placed so that the ink's centre
    of mass is in the middle of the 28. For optdigits (8 pixels) the box is the whole square.
    """
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = float(gray.min()), float(gray.max())
    if high - low < FAINT:
        return None
    border = np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]])
    paper = float(np.median(border))
    dark_on_light = paper > (low + high) / 2
    if picture.shape == (stored, stored, 3) and (picture == picture[..., :1]).all() and not dark_on_light:
        return picture[..., 0]
    ink = (paper - gray) / (paper - low) if dark_on_light else (gray - paper) / (high - paper)
    return _placed(_scaled(_cropped(ink.clip(0, 1)), stored), stored)


def _cropped(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cut an image (H, W), 0 paper to 1 ink, to the box around its ink."""
    rows, columns = np.nonzero(ink > INK)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _scaled(ink: NDArray[np.float32], stored: int) -> NDArray[np.float32]:
    """Scale an image so that its longer side is that of a dataset's digits, and its strongest ink is 1."""
    height, width = ink.shape
    factor = BOX.get(stored, round(stored * 20 / 28)) / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(ink, size, interpolation=method).astype(np.float32, copy=False)
    return scaled / np.float32(scaled.max())


def _placed(ink: NDArray[np.float32], stored: int) -> NDArray[np.uint8]:
    """Put an image into a (stored, stored) one, its centre of mass in the middle as far as there is room."""
    height, width = ink.shape
    top = (stored - 1) / 2 - np.average(np.arange(height), weights=ink.sum(1))
    left = (stored - 1) / 2 - np.average(np.arange(width), weights=ink.sum(0))
    top, left = (
        int(np.clip(round(start), 0, stored - side)) for start, side in ((top, height), (left, width))
    )
    image = np.zeros((stored, stored), np.uint8)
    image[top : top + height, left : left + width] = np.round(255 * ink)
    return image
