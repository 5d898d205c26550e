"""Neck and clothes."""

import numpy as np

from prunet.data.sample.geometry import View
from prunet.data.sample.lighting import Light, shade_column
from prunet.data.sample.paint import Array, Rng, blend, bump, inside, mottle, muted_colour, rgb, smoothstep
from prunet.data.sample.people import Person


def paint_neck(view: View, person: Person, light: Light) -> None:
    """Paint the neck and the skin inside the neckline, with the shadow of the chin."""
    canvas, x, y, unit = view.where((np.abs(view.x) < 1) & (view.y > 0))
    half = person.looks.width * 0.62
    outside = np.abs(x) - half - 0.25 * smoothstep((y - 1.0) / 0.5) ** 2
    tone = shade_column(x / (half * 1.3), light) * (1 - 0.45 * inside(y - 1.12, 0.5))
    mask = inside(outside, 2 / unit) * inside(0.3 - y, 0.1)
    blend(canvas, mask, rgb(person.skin) * tone[..., None])


def paint_clothes(view: View, light: Light, rng: Rng) -> None:
    """Paint shoulders in a plain, striped or checked garment with a round neck, V-neck or high collar."""
    canvas, x, y, unit = view.where(view.y > 1)
    if not y.size:
        return  # the photo ends above the shoulders
    side = np.abs(x)
    top = _neckline(side, int(rng.integers(3)))
    base = muted_colour(rng)
    other = np.clip(base + float(rng.choice((-0.3, 0.3))), 0.03, 0.95)
    pattern = _pattern(x, y - 0.12 * side * side, 0.12 * rng.uniform(0.6, 1.6), int(rng.integers(3)))
    cloth = base + (other - base) * pattern[..., None]
    folds = 1 + 0.07 * mottle(x.shape, 0.22 * unit, rng) - 0.25 * bump(y - top, 0.04)
    blend(canvas, inside(top - y, 2 / unit), cloth * (shade_column(x / 1.9, light) * folds)[..., None])


def _neckline(side: Array, kind: int) -> Array:
    """Return the y of the garment's upper edge at the distance `side` from the middle."""
    shoulder = 1.34 + 0.20 * side * side / (0.6 + 0.4 * side) + 2.2 * np.clip(side - 1.45, 0, None) ** 2
    if kind == 0:  # round
        return np.asarray(np.maximum(shoulder, 1.56 - 0.9 * side * side))
    if kind == 1:  # V
        return np.asarray(np.maximum(shoulder, 1.95 - 1.5 * side))
    collar = np.minimum(shoulder, 1.16 + 0.25 * side)
    return np.asarray(np.where(side < 0.56, collar, shoulder))


def _pattern(x: Array, y: Array, stripe: float, kind: int) -> Array:
    """Return a plain, striped or checked pattern, 0 to 1, of stripes `stripe` wide."""
    rows = (y % (2 * stripe) < stripe).astype(np.float32)
    columns = (x % (2 * stripe) < stripe).astype(np.float32)
    return (np.zeros_like(rows), rows, (rows + columns) * 0.5)[kind]
