"""Masks, noise and colours, and how they get onto a canvas."""

from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.floating[Any]]  # float32 throughout: half the memory to move
Box = tuple[slice, slice]  # of rows and columns
Rng = np.random.Generator

FAINT = 1 / 512  # a mask below this would not change a photo's pixel


def blend(canvas: Array, mask: Array, colour: ArrayLike) -> None:
    """Paint `colour`, one or (H, W, 3), over `canvas` where `mask`, (H, W), says so.

    Only the box around what the mask shows is computed: most parts are small.
    """
    box = bounds(mask > FAINT)
    paint = np.asarray(colour, np.float32)
    part = canvas[box]
    part += mask[box][..., None] * ((paint[box] if paint.ndim == 3 else paint) - part)


def bounds(mask: NDArray[np.bool_]) -> Box:
    """Return the smallest box that holds all of `mask`."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0), slice(0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def inside(distance: Array, soft: float) -> Array:
    """1 where `distance` is below 0, 0 where it is above, with an edge `soft` wide."""
    return np.asarray(np.clip(0.5 - distance / soft, 0, 1))


def bump(distance: Array, width: float | Array) -> Array:
    """A bell: 1 at distance 0, 0.37 at `width`."""
    scaled = distance / width
    return np.asarray(np.exp(-scaled * scaled))


def smooth(share: Array) -> Array:
    """From 0 (at 0 and below) to 1 (at 1 and above) without a corner."""
    share = np.clip(share, 0, 1)
    return share * share * (3 - 2 * share)


def radius(x: Array, y: Array) -> Array:
    """The distance from (0, 0); several times as fast as `np.hypot`, which guards against overflow."""
    return np.asarray(np.sqrt(x * x + y * y))


def mottle(shape: tuple[int, ...], grain: float, rng: Rng) -> Array:
    """Smooth noise with blots of about `grain` pixels, standard deviation 0.5 or so: (H, W)."""
    height, width = shape
    rows, columns = (max(2, round(side / max(grain, 1)) + 1) for side in shape)
    noise = rng.standard_normal((rows, columns), dtype=np.float32) * 0.7
    return np.asarray(cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def unit_square(height: int, width: int) -> tuple[Array, Array]:
    """Each pixel's place in the photo, 0 to 1: x as (1, width), y as (height, 1)."""
    across = np.arange(width, dtype=np.float32)[None] / width
    down = np.arange(height, dtype=np.float32)[:, None] / height
    return across, down


def rgb(colour: ArrayLike) -> Array:
    """A colour to compute with: (3,) float32."""
    return np.asarray(colour, np.float32)


def muted(rng: Rng, low: float = 0.15, high: float = 0.85) -> Array:
    """A colour that is not loud: (3,) float32."""
    colour = rng.uniform(low, high, 3)
    return rgb(colour.mean() + 0.5 * (colour - colour.mean()))
