"""Front of the head: face, ears and glasses."""

import cv2
import numpy as np

from prunet.data.sample import features
from prunet.data.sample.beards import paint_short_beard
from prunet.data.sample.geometry import Pose, Surface, View, ellipsoid, project
from prunet.data.sample.lighting import Light, gloss, normals, shade
from prunet.data.sample.paint import Array, Rng, blend, bounds, bump, inside, mottle, radius, rgb, smoothstep
from prunet.data.sample.people import EYES_Y, Looks, Person


def paint_ears(view: View, person: Person, pose: Pose, light: Light) -> None:
    """Paint both ears; long hair is painted over them later."""
    for side in (-1, 1):
        middle_x, middle_y = project((side * person.looks.width * 0.98, 0.10, -0.05), pose)
        near = view.where((np.abs(view.x - middle_x) < 0.2) & (np.abs(view.y - middle_y) < 0.25))
        across, down = (near.x - middle_x) / 0.115, (near.y - middle_y) / 0.20
        far = radius(across - 0.2 * side * down, down)
        tone = light.ambient + light.lamp * (0.45 + 0.35 * side * light.direction[0])
        fold = 1 - 0.35 * bump(far - 0.45, 0.28)
        mask = inside((far - 1) * 0.13, 1.5 / view.unit)
        blend(near.canvas, mask, rgb(person.skin) * (tone * fold)[..., None])


def paint_face(view: View, person: Person, pose: Pose, light: Light, rng: Rng) -> None:
    """Paint the face with all its features, then light it."""
    looks, unit = person.looks, view.unit
    surface = _face_surface(view, looks, pose)
    near = bounds(surface.outside < 0.05)
    surface = surface.crop(near)
    patches = 1 + 0.035 * mottle(surface.x.shape, 0.10 * unit, rng)
    colour = rgb(person.skin) * patches[..., None]
    features.paint_cheeks(colour, surface, person)
    features.paint_wrinkles(colour, surface, looks, pose)
    if person.style.beard != "none":
        paint_short_beard(colour, surface, person, rng)
    features.paint_mouth(colour, surface, person, pose, unit)
    features.paint_eyes(colour, surface, person, pose, unit)
    features.paint_brows(colour, surface, person, pose)
    features.paint_nostrils(colour, surface, looks)
    relief = _relief(surface, looks, pose)
    hollow = np.clip((cv2.GaussianBlur(relief, (0, 0), 0.10 * unit) - relief) * 5, -0.15, 0.5)
    facing = normals(surface.depth + relief, unit)
    colour *= (shade(facing, light) * (1 - hollow))[..., None]
    colour += gloss(facing, light)[..., None]
    blend(view.canvas[near], inside(surface.outside, 1.5 / unit), colour)


def paint_glasses(view: View, person: Person, pose: Pose) -> None:
    """Paint the glasses, slightly in front of the eyes."""
    surface = _face_surface(view, person.looks, pose)
    front_x, front_y = surface.in_front(0.10)
    across = np.abs(front_x) - person.looks.eye_gap - 0.01
    down = front_y - EYES_Y - 0.03
    if person.style.glasses == "round":
        rim = radius(across, down) - 0.20
    else:
        rim = ((across / 0.235) ** 4 + (down / 0.165) ** 4) ** 0.25 * 0.2 - 0.2
    frame = inside(np.abs(rim) - max(0.016, 0.7 / view.unit), 1.5 / view.unit)
    bridge = inside(np.abs(front_x) - person.looks.eye_gap + 0.18, 0.02) * bump(down + 0.04, 0.022)
    arms = inside(0.20 - across, 0.02) * bump(down + 0.05, 0.026)
    mask = np.maximum(frame, np.maximum(bridge, arms)) * inside(surface.outside, 1.5 / view.unit)
    blend(view.canvas, 0.10 * inside(rim, 0.02), (0.85, 0.9, 1.0))
    blend(view.canvas, 0.92 * mask, (0.07, 0.06, 0.07))


def _face_surface(view: View, looks: Looks, pose: Pose) -> Surface:
    x = view.x / (1 + looks.jaw * smoothstep(view.y / 0.7))
    return ellipsoid(x, view.y, (looks.width, 1.0, 0.85), pose)


def _relief(surface: Surface, looks: Looks, pose: Pose) -> Array:
    """Return the height of the face above the ellipsoid in head units: (H, W)."""
    x, y = np.abs(surface.x), surface.y
    eye, mouth = x - looks.eye_gap, y - looks.mouth_y
    relief = -0.085 * bump(eye, 0.17) * bump(y - EYES_Y + 0.01, 0.11)  # sockets
    relief += 0.055 * bump(eye, 0.11) * bump(y - EYES_Y, 0.07)  # eyeballs
    relief += 0.045 * bump(y - EYES_Y + looks.brow_gap, 0.075) * bump(x - 0.26, 0.28)
    relief += 0.05 * bump(x - 0.44, 0.17) * bump(y - 0.27 + 0.04 * pose.smile, 0.15)  # cheek bones
    relief += 0.055 * bump(x, 0.17) * bump(y - 0.87, 0.11)  # chin
    relief += looks.lips * 0.55 * bump(x, looks.mouth_width * 0.8) * bump(mouth, looks.lips * 1.5)
    relief -= 0.03 * bump(x, looks.mouth_width * 0.6) * bump(mouth - looks.lips - 0.07, 0.035)
    tip = EYES_Y + looks.nose_length
    x, y = surface.in_front(looks.nose_height * 0.6)
    along = np.clip((y - EYES_Y + 0.06) / (tip - EYES_Y + 0.06), 0, 1)
    ridge = along * (1 - smoothstep((y - tip) / 0.075))
    relief += looks.nose_height * ridge * bump(x, looks.nose_width * (0.45 + 0.30 * along))
    wings = bump(np.abs(x) - looks.nose_width * 0.82, 0.042) * bump(y - tip - 0.005, 0.055)
    return relief + 0.06 * wings
