"""Gray faces of one size."""

import cv2
import numpy as np
from numpy.typing import NDArray


def scaled(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Scale an image (H, W) or (H, W, 3) to `size` pixels in height and width.

    Shrinking averages areas, which avoids moiré; enlarging is cubic.
    """
    method = cv2.INTER_AREA if size < max(image.shape[:2]) else cv2.INTER_CUBIC
    return cv2.resize(image, (size, size), interpolation=method).astype(np.uint8, copy=False)


def to_gray(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Convert an RGB image (H, W, 3) to luma (ITU-R BT.601), (size, size), 0 to 255."""
    return scaled(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.uint8, copy=False), size)
