"""Backgrounds: a wall, a room, a landscape, a street, or lights at night."""

import cv2
import numpy as np

from prunet.data.sample.geometry import Position, view_around
from prunet.data.sample.lighting import Light, normals, shade
from prunet.data.sample.paint import (
    Array,
    Rng,
    blend,
    inside,
    mottle,
    muted_colour,
    radius,
    rgb,
    smoothstep,
    unit_square,
)


def draw_scene(height: int, width: int, blur: float, rng: Rng) -> Array:
    """Draw a random background, blurred by `blur` pixels: (height, width, 3)."""
    draw = (_wall, _room, _landscape, _street, _lights)[int(rng.integers(5))]
    shrink = 2 if blur > 2 else 1  # a blurred scene does not need full resolution
    canvas = draw(-(-height // shrink), -(-width // shrink), rng)
    canvas *= 1 + 0.05 * mottle(canvas.shape[:2], 3, rng)[..., None]
    blurred = cv2.GaussianBlur(canvas, (0, 0), max(0.4, blur / shrink))
    return np.asarray(cv2.resize(blurred, (width, height)) if shrink > 1 else blurred, np.float32)


def paint_balls(canvas: Array, light: Light, rng: Rng) -> None:
    """Paint a few shaded balls in the foreground."""
    height, width = canvas.shape[:2]
    for _ in range(int(rng.integers(2, 6))):
        unit = rng.uniform(0.06, 0.16) * height
        position = Position(width * rng.uniform(0.1, 0.9), height - unit * rng.uniform(0.9, 1.4), unit)
        view = view_around(canvas, position)
        far = radius(view.x, view.y)
        depth = np.sqrt(np.clip(1 - far * far, 0, None))
        lit = muted_colour(rng) * shade(normals(depth, unit), light)[..., None]
        blend(view.canvas, inside(far - 1, 2 / unit), lit)


def _wall(height: int, width: int, rng: Rng) -> Array:
    across, down = unit_square(height, width)
    to_right, to_bottom = rng.uniform(-0.3, 0.3, 2).tolist()
    fall = 1 + to_right * (across - 0.5) + to_bottom * (down - 0.5)
    cloudy = 1 + 0.12 * mottle((height, width), 0.25 * height, rng)
    return np.asarray(muted_colour(rng) * (fall * cloudy)[..., None])


def _room(height: int, width: int, rng: Rng) -> Array:
    canvas = _wall(height, width, rng)
    for _ in range(int(rng.integers(2, 5))):  # pictures, a window, a cupboard
        left, top = int(rng.uniform(-0.1, 0.9) * width), int(rng.uniform(-0.1, 0.6) * height)
        right, bottom = left + int(rng.uniform(0.12, 0.4) * width), top + int(rng.uniform(0.15, 0.6) * height)
        edge = max(2, width // 60)
        _fill(canvas, left - edge, top - edge, right + edge, bottom + edge, muted_colour(rng, 0.1, 0.8))
        _fill(canvas, left, top, right, bottom, muted_colour(rng, 0.35, 0.95))
    if rng.random() < 0.4:  # a shelf of books
        shelf = int(rng.uniform(0.0, 0.5) * height)
        left = 0
        while left < width:
            right = left + int(rng.uniform(0.02, 0.06) * width) + 2
            top = shelf + int(rng.uniform(0, 0.06) * height)
            _fill(canvas, left, top, right, shelf + height // 4, muted_colour(rng, 0.1, 0.8))
            left = right + 1
    return canvas


def _landscape(height: int, width: int, rng: Rng) -> Array:
    down = unit_square(height, width)[1]
    zenith, horizon = rgb((0.35, 0.55, 0.85)), rgb((0.85, 0.86, 0.84))
    if rng.random() < 0.3:
        zenith, horizon = rgb((0.40, 0.38, 0.55)), rgb((0.95, 0.66, 0.45))  # evening
    canvas = np.repeat(zenith + (horizon - zenith) * smoothstep(down * 1.4)[..., None], width, axis=1)
    clouds = np.clip(mottle((height, width), 0.14 * height, rng) - 0.2, 0, 1) * inside(down - 0.4, 0.3)
    blend(canvas, 0.5 * clouds, (0.95, 0.95, 0.95))
    for layer in range(3):
        crest = 0.40 + 0.16 * layer + 0.05 * mottle((1, width), width * (0.3 - 0.08 * layer), rng)
        green = rgb((0.42 - 0.08 * layer, 0.50 - 0.05 * layer, 0.42 - 0.12 * layer))
        leaves = 1 + 0.18 * mottle((height, width), 2 + 0.02 * height * layer, rng)
        blend(canvas, inside(crest - down, 0.012), green * leaves[..., None])
    return canvas


def _street(height: int, width: int, rng: Rng) -> Array:
    canvas = _landscape(height, width, rng)
    left = -int(rng.uniform(0, 0.1) * width)
    while left < width:
        right = left + int(rng.uniform(0.14, 0.35) * width)
        top = int(rng.uniform(-0.1, 0.45) * height)
        _fill(canvas, left, top, right, height, muted_colour(rng, 0.25, 0.75))
        glass = muted_colour(rng, 0.15, 0.9)
        step = max(8, int(rng.uniform(0.06, 0.10) * height))
        for y in range(top + step // 2, height - step, step):
            for x in range(left + step // 2, right - step // 2, step):
                _fill(canvas, x, y, x + step // 3, y + step // 2, glass)
        left = right
    return canvas


def _lights(height: int, width: int, rng: Rng) -> Array:
    canvas = _wall(height, width, rng) * 0.55
    for _ in range(int(rng.integers(12, 30))):
        glow = np.zeros_like(canvas)
        middle = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = max(3, int(rng.uniform(0.02, 0.08) * width))
        cv2.circle(glow, middle, size, muted_colour(rng, 0.1, 0.4).tolist(), -1, cv2.LINE_AA)
        canvas += glow
    return np.asarray(np.minimum(canvas, 1))


def _fill(canvas: Array, left: int, top: int, right: int, bottom: int, colour: Array) -> None:
    """Fill a rectangle, edges included."""
    cv2.rectangle(canvas, (left, top), (right, bottom), colour.tolist(), -1)
