"""Painting on a canvas: masks, noise and colours."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]  # float32, to move half the memory of float64
Box = tuple[slice, slice]  # of rows and columns
Rng = np.random.Generator

FAINT = 1 / 512  # below this, a mask does not change a pixel of the photo


def blend(canvas: Array, mask: Array, colour: ArrayLike) -> None:
    """Blend `colour`, (3,) or (H, W, 3), over `canvas` with the opacity `mask`, (H, W).

    Only the bounding box of the mask is computed, because most parts are small.
    """
    box = bounds(mask > FAINT)
    paint = np.asarray(colour, np.float32)
    part = canvas[box]
    part += mask[box][..., None] * ((paint[box] if paint.ndim == 3 else paint) - part)


def bounds(mask: NDArray[np.bool_]) -> Box:
    """Return the bounding box of `mask`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def inside(distance: Array, soft: float) -> Array:
    """Return 1 where `distance` is negative and 0 where it is positive, with an edge `soft` wide."""
    return np.asarray(np.clip(0.5 - distance / soft, 0, 1))


def bump(distance: Array, width: float | Array) -> Array:
    """Return a bell curve: 1 at distance 0, 1/e at `width`."""
    scaled = distance / width
    return np.asarray(np.exp(-scaled * scaled))


def smoothstep(share: Array) -> Array:
    """Rise smoothly from 0 (at 0 and below) to 1 (at 1 and above)."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def radius(x: Array, y: Array) -> Array:
    """Return the distance from (0, 0), several times faster than `np.hypot` with its overflow guard."""
    return np.asarray(np.sqrt(x * x + y * y))


def mottle(shape: tuple[int, ...], grain: float, rng: Rng) -> Array:
    """Return smooth noise (H, W) with blobs of about `grain` pixels and a standard deviation near 0.5."""
    height, width = shape
    rows, columns = (max(2, round(side / max(grain, 1)) + 1) for side in shape)
    noise = rng.standard_normal((rows, columns), dtype=np.float32) * 0.7
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def unit_square(height: int, width: int) -> tuple[Array, Array]:
    """Return the relative coordinates of all pixels, 0 to 1: x as (1, width), y as (height, 1)."""
    across = np.arange(width, dtype=np.float32)[None] / width
    down = np.arange(height, dtype=np.float32)[:, None] / height
    return across, down


def rgb(colour: ArrayLike) -> Array:
    """Convert a colour to an array: (3,) float32."""
    return np.asarray(colour, np.float32)


def muted_colour(rng: Rng, low: float = 0.15, high: float = 0.85) -> Array:
    """Draw a random colour of low saturation: (3,) float32."""
    colour = rng.uniform(low, high, 3)
    return rgb(colour.mean() + 0.5 * (colour - colour.mean()))
