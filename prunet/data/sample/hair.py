"""Hair: a shell around the head, hair behind it, and locks in front of the shoulders."""

from typing import NamedTuple

import cv2
import numpy as np

from prunet.data.sample.geometry import Pose, Surface, View, ellipsoid, project
from prunet.data.sample.lighting import Light, normals, shade
from prunet.data.sample.paint import Array, Rng, blend, bounds, bump, inside, mottle, radius, rgb, smoothstep
from prunet.data.sample.people import Person


class Haircut(NamedTuple):
    """A shell of hair around the head with an opening for the face; lengths in head units."""

    volume: float  # thickness of the hair at the sides; 0: no hair
    lift: float  # extra thickness on top
    hairline: float  # y of the hairline, in the middle of the forehead
    curtain: float  # drop of the hairline per unit of distance from the parting
    parting: float  # x of the parting
    sides: float  # y of the lower end of the hair at the sides of the head
    length: float  # y of the lower end of the hair behind the head
    curls: float  # 0 straight to 1 curly
    bun: float  # radius of the bun on top; 0: none


HAIRCUTS = {
    "bald": Haircut(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    "crop": Haircut(0.045, 0.03, -0.60, 0.15, 0.0, 0.02, 0.15, 0.5, 0.0),
    "quiff": Haircut(0.06, 0.20, -0.62, 0.28, -0.34, 0.08, 0.25, 0.1, 0.0),
    "bob": Haircut(0.16, 0.07, -0.30, 0.10, 0.0, 0.72, 0.80, 0.0, 0.0),
    "long": Haircut(0.12, 0.05, -0.74, 0.95, 0.0, 0.70, 1.75, 0.0, 0.0),
    "bun": Haircut(0.04, 0.02, -0.64, 0.30, 0.0, 0.05, 0.15, 0.0, 0.32),
    "afro": Haircut(0.40, 0.12, -0.52, 0.10, 0.0, 0.15, 0.50, 1.0, 0.0),
}


def paint_back_hair(view: View, person: Person, pose: Pose, light: Light, rng: Rng) -> None:
    """Paint the hair behind the head and neck, and the bun."""
    canvas, x, y, unit = view.where(np.abs(view.x) < 1.4)
    haircut = HAIRCUTS[person.style.haircut]
    shell = _shell(x, y, person, pose)
    curls, strands = _texture(shell, person, unit, rng)
    outside = shell.outside + 0.035 * curls
    if haircut.length > 1:
        width = (person.looks.width + haircut.volume) * (1 + 0.10 * np.clip(y, 0, None))
        outside = np.minimum(outside, np.where(y > 0, np.abs(x) - width, 1) + 0.02 * strands)
    mask = inside(outside, 2 / unit) * inside(y - haircut.length - 0.05 * strands, 0.08)
    if haircut.bun:
        middle_x, middle_y = project((0.0, -1.0 - haircut.bun * 0.55, -0.25), pose)
        bun = radius(x - middle_x, (y - middle_y) * 1.15) - haircut.bun
        mask = np.maximum(mask, inside(bun + 0.015 * strands, 2 / unit))
    tone = (0.62 + 0.22 * strands) * (light.ambient + 0.5 * light.lamp)
    blend(canvas, mask, rgb(person.hair) * tone[..., None])


def paint_locks(view: View, person: Person, light: Light) -> None:
    """Paint the locks of long hair in front of the shoulders, on both sides of the neck."""
    canvas, x, y, unit = view.where((np.abs(view.x) < 1.3) & (view.y > 0))
    across = np.abs(x) - person.looks.width * (0.88 + 0.06 * np.sin(3 * y))
    below = y - HAIRCUTS[person.style.haircut].length - 0.3 * across
    mask = inside(np.abs(across) - 0.24, 2 / unit) * inside(below, 0.1) * inside(0.2 - y, 0.2)
    strands = np.sin(46 * across + 3 * np.sin(2.2 * y)) * 0.5 + np.sin(71 * across - 2 * y) * 0.5
    tone = (0.85 + 0.16 * strands - 1.2 * across * across) * (light.ambient + 0.7 * light.lamp)
    blend(canvas, mask, rgb(person.hair) * tone[..., None])


def paint_hair(view: View, person: Person, pose: Pose, light: Light, rng: Rng) -> None:
    """Paint the shell of hair around the head."""
    haircut = HAIRCUTS[person.style.haircut]
    shell = _shell(view.x, view.y, person, pose)
    near = bounds((shell.outside < 0.1) & (shell.y < max(haircut.sides, 0.3)))
    shell, canvas = shell.crop(near), view.canvas[near]
    curls, strands = _texture(shell, person, view.unit, rng)
    side = smoothstep((0.62 - shell.z / 0.85) / 0.42)
    front = haircut.hairline + haircut.curtain * np.abs(shell.x - haircut.parting) ** 1.4 + 0.02 * strands
    below = shell.y - front - (haircut.sides - front) * side  # the hairline, 0, is lower at the sides
    shadow = 0.35 * bump(np.clip(below, 0, None), 0.06) * inside(shell.outside, 0.1)
    canvas *= (1 - shadow)[..., None]
    tone = shade(normals(shell.depth + 0.05 * curls, view.unit), light) * (1 + 0.22 * strands)
    shine = 0.10 * (1 - haircut.curls) * bump(shell.y + 0.55 + 0.05 * strands, 0.13) * light.lamp
    lit = rgb(person.hair) * tone[..., None] + shine[..., None]
    outside = shell.outside + 0.035 * curls + 0.01 * strands
    blend(canvas, inside(below, 0.05) * inside(outside, 2 / view.unit), lit)


def _shell(x: Array, y: Array, person: Person, pose: Pose) -> Surface:
    haircut = HAIRCUTS[person.style.haircut]
    axes = (
        person.looks.width + haircut.volume,
        1.0 + 0.8 * haircut.volume + 0.5 * haircut.lift,
        0.85 + 0.5 * haircut.volume,
    )
    shell = ellipsoid(x, y + 0.5 * haircut.lift, axes, pose)
    return shell._replace(y=shell.y - 0.5 * haircut.lift)


def _texture(shell: Surface, person: Person, unit: float, rng: Rng) -> tuple[Array, Array]:
    """Return curls, which differ between photos, and strands including the curls, roughly -1 to 1.

    Straight strands run down from the crown and are the same in every photo of a person.
    """
    share = HAIRCUTS[person.style.haircut].curls
    curls = share * mottle(shell.x.shape, 0.05 * unit, rng)
    table = np.random.default_rng(person.grain).standard_normal((1, 256)).astype(np.float32)
    meridian = (50 * shell.x / np.clip(shell.z + 0.9, 0.2, None)) % 256
    rows = np.zeros_like(meridian)
    straight = cv2.remap(table, meridian, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return curls, 0.7 * straight * (1 - share) + 0.5 * curls
