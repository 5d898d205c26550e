"""Beards: short ones painted on the skin, and a full one in front of the face."""

import numpy as np

from prunet.data.sample.geometry import Pose, Surface, View, ellipsoid
from prunet.data.sample.lighting import Light, normals, shade
from prunet.data.sample.paint import Array, Rng, blend, bump, inside, mottle, radius, rgb, smoothstep
from prunet.data.sample.people import EYES_Y, Person


def paint_short_beard(colour: Array, surface: Surface, person: Person, rng: Rng) -> None:
    """Paint a moustache, or stubble on upper lip, jaw and chin."""
    looks = person.looks
    x, y = np.abs(surface.x), surface.y
    speckle = 1 + 0.25 * rng.standard_normal(x.shape, dtype=np.float32)
    lip_y = looks.mouth_y - looks.lips * 0.9
    middle = 0.45 * (EYES_Y + looks.nose_length + 0.07) + 0.55 * lip_y + 0.55 * x * x
    bushy = person.style.beard == "moustache"
    half = looks.mouth_width * (1.4 if bushy else 1.15)
    mask = bump(y - middle, 0.075 if bushy else 0.045) * inside(x - half, 0.08)
    if person.style.beard == "stubble":
        cheeks = inside(0.45 - 0.45 * np.clip(x - 0.25, 0, None) - y, 0.14) * inside(0.22 - x, 0.12)
        chin = inside(looks.mouth_y + looks.lips - y, 0.10)
        mask = 0.55 * np.maximum(mask, np.maximum(cheeks, chin))
    dark = np.array(person.hair) * (0.7 if bushy else 1.0)
    blend(colour, np.clip(mask * speckle * 1.1, 0, 1), dark)


def paint_full_beard(view: View, person: Person, pose: Pose, light: Light, rng: Rng) -> None:
    """Paint a beard that projects from the face and hangs below the chin."""
    canvas, x, y, unit = view
    looks = person.looks
    squeeze = 1 + (looks.jaw + 0.02) * smoothstep(y / 0.7)
    shell = ellipsoid(x / squeeze, y - 0.10, (looks.width + 0.02, 1.08, 0.90), pose)
    beard_y = shell.y + 0.10
    start = 0.72 - 0.62 * smoothstep((np.abs(shell.x) - 0.16) / 0.45)
    mouth = inside(0.10 - radius(shell.x / 2.6, beard_y - looks.mouth_y - 0.02), 0.06)
    curls = mottle(x.shape, 0.035 * unit, rng)
    mask = inside(start - beard_y + 0.04 * curls, 0.07) * mouth
    mask *= inside(shell.outside + 0.03 * curls, 2.5 / unit)
    tone = shade(normals(shell.depth + 0.03 * curls, unit), light) * (1 + 0.25 * curls)
    blend(canvas, mask, rgb(person.hair) * tone[..., None])
