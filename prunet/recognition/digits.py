"""Images of handwritten digits, normalised as MNIST's or optdigits' images were."""

import cv2
import numpy as np
from numpy.typing import NDArray

# Image side: side of the box that a digit fills. In optdigits it fills the image, in MNIST there is a border.
BOX = {8: 8, 28: 20}
MIN_CONTRAST = 32  # of 255 gray levels; an image with less is blank
INK = 0.35  # fraction of the contrast; fainter pixels are paper


def normalise(image: NDArray[np.uint8], stored: int) -> NDArray[np.uint8] | None:
    """Convert an RGB image of a digit (H, W, 3) to the data set's form (stored, stored); None if it is blank.

    A gray image of that size with light strokes on dark is returned as it is. Any other image is treated as
    MNIST's were (LeCun, Bottou, Bengio & Haffner 1998, section III.A): the ink, dark on light or light on
    dark, is scaled to a box of 20 pixels, keeping its aspect ratio, and the box is placed so that the ink's
    centre of mass is the centre of the 28 pixels. For optdigits (8 pixels) the box is the whole image.
    """
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    low, high = float(gray.min()), float(gray.max())
    if high - low < MIN_CONTRAST:
        return None
    border = np.concatenate([gray[0], gray[-1], gray[1:-1, 0], gray[1:-1, -1]])
    paper = float(np.median(border))
    dark_on_light = paper > (low + high) / 2
    if image.shape == (stored, stored, 3) and (image == image[..., :1]).all() and not dark_on_light:
        return image[..., 0]
    ink = (paper - gray) / (paper - low) if dark_on_light else (gray - paper) / (high - paper)
    return _centred(_scaled(_cropped(ink.clip(0, 1)), stored), stored)


def _cropped(ink: NDArray[np.float32]) -> NDArray[np.float32]:
    """Crop an image (H, W), 0 (paper) to 1 (ink), to the bounding box of its ink."""
    rows, columns = np.nonzero(ink > INK)
    return ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def _scaled(ink: NDArray[np.float32], stored: int) -> NDArray[np.float32]:
    """Scale an image so that its longer side fills the box and its strongest ink is 1."""
    height, width = ink.shape
    factor = BOX.get(stored, round(stored * 20 / 28)) / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(ink, size, interpolation=method).astype(np.float32, copy=False)
    return scaled / np.float32(scaled.max())


def _centred(ink: NDArray[np.float32], stored: int) -> NDArray[np.uint8]:
    """Paste an image into a (stored, stored) one, its centre of mass as close to the centre as it fits."""
    height, width = ink.shape
    top = (stored - 1) / 2 - np.average(np.arange(height), weights=ink.sum(1))
    left = (stored - 1) / 2 - np.average(np.arange(width), weights=ink.sum(0))
    top, left = (
        int(np.clip(round(start), 0, stored - side)) for start, side in ((top, height), (left, width))
    )
    image = np.zeros((stored, stored), np.uint8)
    image[top : top + height, left : left + width] = np.round(255 * ink)
    return image
