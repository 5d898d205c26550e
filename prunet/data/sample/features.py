"""Unlit features of a face: cheeks, wrinkles, mouth, eyes, brows and nostrils."""

import numpy as np

from prunet.data.sample.geometry import Pose, Surface
from prunet.data.sample.paint import Array, blend, bump, inside, radius, rgb
from prunet.data.sample.people import EYES_Y, Looks, Person


def paint_cheeks(colour: Array, surface: Surface, person: Person) -> None:
    """Redden cheeks and nose a little."""
    x, y = np.abs(surface.x), surface.y
    red = bump(x - 0.40, 0.17) * bump(y - 0.30, 0.14) + 0.7 * bump(x, 0.12) * bump(y - 0.33, 0.10)
    blend(colour, 0.28 * np.clip(red, 0, 1), np.array(person.skin) * (1.02, 0.72, 0.68))


def paint_wrinkles(colour: Array, surface: Surface, looks: Looks, pose: Pose) -> None:
    """Darken the folds from nose to mouth (deeper in a smile), bags under the eyes, and forehead lines."""
    x, y = np.abs(surface.x), surface.y
    fold_x = looks.nose_width + 0.06 + 0.45 * np.clip(y - 0.32, 0, None) * (1 + 0.25 * pose.smile)
    fold = bump(x - fold_x, 0.026) * bump(y - looks.mouth_y + 0.13, 0.13)
    bags = bump(x - looks.eye_gap, 0.12) * bump(y - EYES_Y - looks.eye_height - 0.075, 0.028)
    lines = bump(((y + 0.52 - 0.05 * x) % 0.10) - 0.05, 0.012) * bump(y + 0.47, 0.11) * bump(x, 0.35)
    dark = fold * (0.10 + 0.14 * max(0.0, pose.smile) + 0.22 * looks.age)
    dark += (0.06 + 0.22 * looks.age) * bags + 0.28 * max(0.0, looks.age - 0.35) * lines
    colour *= (1 - dark)[..., None]


def paint_mouth(colour: Array, surface: Surface, person: Person, pose: Pose, unit: float) -> None:
    """Paint the lips, the inside of an open mouth, and the upper teeth."""
    looks, skin = person.looks, np.array(person.skin)
    along = surface.x / (looks.mouth_width * (1 + 0.22 * pose.smile))
    arch = np.sqrt(np.clip(1 - along * along, 0, 1))
    down = surface.y - looks.mouth_y - 0.085 * pose.smile * (0.35 - along * along)
    gap = 0.085 * pose.mouth_open * arch
    top = -looks.lips * 0.85 * arch * (1 - 0.30 * bump(along, 0.16)) - 0.25 * gap
    bottom = looks.lips * 1.1 * arch + gap
    soft = max(1.3 / unit, 0.014)
    ends = inside(np.abs(along) - 1, 0.08)
    lips = ends * inside(top - down, soft) * inside(down - bottom, soft)
    blend(colour, 0.8 * lips, skin * (0.82, 0.52, 0.52))
    blend(colour, 0.25 * lips * inside(down, 0.03), skin * (0.55, 0.35, 0.36))
    if pose.mouth_open > 0.1:
        hole = ends * inside(-0.25 * gap - down, soft) * inside(down - gap, soft)
        blend(colour, hole * np.clip(gap / 0.02, 0, 1), (0.16, 0.05, 0.06))
        teeth = hole * inside(down - 0.45 * gap, soft)
        blend(colour, teeth * np.clip(gap / 0.02, 0, 1), (0.9, 0.88, 0.84))
    else:
        blend(colour, 0.75 * ends * bump(down, 0.014), skin * (0.35, 0.2, 0.2))
    corners = bump(np.abs(along) - 1, 0.14) * bump(down, 0.03)
    blend(colour, 0.4 * corners, skin * (0.4, 0.27, 0.25))


def paint_eyes(colour: Array, surface: Surface, person: Person, pose: Pose, unit: float) -> None:
    """Paint both eyes at once, mirrored by using |x|."""
    looks, skin = person.looks, np.array(person.skin)
    across = np.abs(surface.x) - looks.eye_gap
    down = surface.y - EYES_Y + looks.eye_tilt * across
    arch = np.clip(1 - (across / looks.eye_width) ** 2, 0, 1)
    upper = -looks.eye_height * pose.eyes_open * arch
    lower = looks.eye_height * (0.62 - 0.2 * max(0.0, pose.smile)) * arch
    soft = max(1.3 / unit, 0.012)
    ends = inside(np.abs(across) - looks.eye_width, soft)
    blend(colour, 0.22 * bump(across, 0.19) * bump(down + 0.05, 0.10), skin * (0.6, 0.5, 0.5))
    white = ends * inside(upper - down, soft) * inside(down - lower, soft)
    shadow = np.clip((down - upper) / 0.05, 0.45, 1)[..., None]
    blend(colour, white, rgb((0.93, 0.92, 0.90)) * shadow)
    outward = np.sign(surface.x)
    toward_x = across - outward * pose.gaze
    far = radius(toward_x, down + 0.008)
    size = 0.066 * (0.6 + 0.4 * looks.eye_width / 0.14)
    blend(colour, white * inside(far - size, soft), rgb(person.iris) * shadow)
    blend(colour, white * inside(far - size * 0.48, soft), (0.02, 0.02, 0.02))
    lashes = ends * bump(down - upper, max(0.018, 0.7 / unit))
    blend(colour, 0.9 * lashes, skin * (0.16, 0.13, 0.13))
    blend(colour, 0.35 * ends * bump(down - lower, 0.014), skin * (0.5, 0.35, 0.35))
    crease = ends * bump(down - upper * 1.25 + 0.045, 0.014)
    blend(colour, 0.35 * crease, skin * (0.5, 0.38, 0.36))
    glint = bump(radius(toward_x * outward + 0.022, down + 0.03), max(0.014, 0.6 / unit))
    blend(colour, white * glint, (1.5, 1.5, 1.5))


def paint_brows(colour: Array, surface: Surface, person: Person, pose: Pose) -> None:
    """Paint both brows as arched strokes that taper towards the temples."""
    looks, hair = person.looks, np.array(person.hair)
    across = np.abs(surface.x) - looks.eye_gap
    line = EYES_Y - looks.brow_gap - pose.brows_up - looks.brow_tilt * across + 1.1 * across * across
    thickness = looks.brow_thickness * np.clip(1 - 1.8 * across, 0.45, 1.3)
    mask = bump(surface.y - line, thickness) * inside(np.abs(across) - looks.eye_width * 1.35, 0.06)
    blend(colour, 0.88 * mask, 0.8 * (hair + ((0.1, 0.08, 0.07) - hair) * 0.35))


def paint_nostrils(colour: Array, surface: Surface, looks: Looks) -> None:
    """Paint the nostrils and the shadow below the nose."""
    x, y = surface.in_front(looks.nose_height * 0.5)
    below = y - EYES_Y - looks.nose_length - 0.045
    holes = bump(np.abs(x) - looks.nose_width * 0.46, 0.034) * bump(below, 0.020)
    shadow = bump(x, looks.nose_width * 1.05) * bump(below - 0.025, 0.035)
    colour *= (1 - np.clip(0.72 * holes + 0.28 * shadow, 0, 0.9))[..., None]
