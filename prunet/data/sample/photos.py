"""Photos of one person, two people or nobody, with a background and the flaws of a camera."""

import cv2
import numpy as np
from numpy.typing import NDArray

from prunet.data.sample.beards import paint_full_beard
from prunet.data.sample.clothes import paint_clothes, paint_neck
from prunet.data.sample.geometry import Pose, Position, random_pose, view_around
from prunet.data.sample.hair import HAIRCUTS, paint_back_hair, paint_hair, paint_locks
from prunet.data.sample.heads import paint_ears, paint_face, paint_glasses
from prunet.data.sample.lighting import Light, random_light
from prunet.data.sample.paint import Array, Rng, rgb, unit_square
from prunet.data.sample.people import Person
from prunet.data.sample.scenes import draw_scene, paint_balls

Photo = NDArray[np.uint8]


def photo_of_one(person: Person, rng: Rng) -> Photo:
    """Draw a photo of `person`: (H, W, 3) uint8 RGB, its longer side 160 to 360 pixels."""
    height, width = _frame(rng, (160, 360), (0.75, 0.8, 1.0, 1.33, 1.5))
    unit = max(33.0, min(height, width) * rng.uniform(0.21, 0.33))
    x = width * rng.uniform(0.40, 0.60)
    y = max(1.15 * unit, min(height - 1.15 * unit, height * rng.uniform(0.38, 0.52)))
    canvas = draw_scene(height, width, blur=unit * rng.uniform(0.03, 0.12), rng=rng)
    draw_person(canvas, person, random_pose(rng), random_light(rng), Position(x, y, unit), rng)
    return develop(canvas, rng)


def photo_of_two(person: Person, other: Person, rng: Rng) -> Photo:
    """Draw a photo of `person` in front and `other`, clearly smaller, behind.

    It is (H, W, 3) uint8 RGB, 300 to 360 pixels wide.
    """
    height, width = _frame(rng, (300, 360), (1.4, 1.5))
    light = random_light(rng)
    side = int(rng.choice((-1, 1)))
    near = Position(width * (0.5 - side * 0.19), height * rng.uniform(0.46, 0.52), height * 0.31)
    far = Position(width * (0.5 + side * 0.27), height * rng.uniform(0.38, 0.46), height * 0.19)
    canvas = draw_scene(height, width, blur=5.0, rng=rng)
    for somebody, position in ((other, far), (person, near)):
        draw_person(canvas, somebody, random_pose(rng, calm=0.6), light, position, rng)
    return develop(canvas, rng)


def photo_of_nobody(rng: Rng) -> Photo:
    """Draw a photo without people: (H, W, 3) uint8 RGB, its longer side 200 to 360 pixels."""
    height, width = _frame(rng, (200, 360), (1.0, 1.33, 1.5))
    canvas = draw_scene(height, width, blur=0.8, rng=rng)
    paint_balls(canvas, random_light(rng), rng)
    return develop(canvas, rng)


def near_duplicate(original: Photo, rng: Rng) -> Photo:
    """Return a copy scaled to 75 to 95% and made lighter or darker by 4 to 14 of 255."""
    scale = rng.uniform(0.75, 0.95)
    small = cv2.resize(original, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shift = float(rng.choice((-1, 1)) * rng.uniform(4, 14))
    return np.asarray(np.clip(small.astype(np.float32) + shift, 0, 255), np.uint8)


def draw_person(
    canvas: Array, person: Person, pose: Pose, light: Light, position: Position, rng: Rng
) -> None:
    """Draw the head and shoulders of `person` on `canvas`, (H, W, 3), from back to front."""
    haircut = HAIRCUTS[person.style.haircut]
    bust = view_around(canvas, position, pose.roll * 0.25)
    if haircut.volume:
        paint_back_hair(bust, person, pose, light, rng)
    bust = bust._replace(x=bust.x - 0.10 * pose.yaw)
    paint_neck(bust, person, light)
    paint_clothes(bust, light, rng)
    if haircut.length > 1:
        paint_locks(bust, person, light)
    face = view_around(canvas, position, pose.roll, reach=1.3)
    paint_ears(face, person, pose, light)
    paint_face(face, person, pose, light, rng)
    if person.style.glasses != "none":
        paint_glasses(face, person, pose)
    head = view_around(canvas, position, pose.roll, reach=1.6)
    if person.style.beard == "full":
        paint_full_beard(head, person, pose, light, rng)
    if haircut.volume:
        paint_hair(head, person, pose, light, rng)


def develop(canvas: Array, rng: Rng) -> Photo:
    """Turn `canvas` into a photo, (H, W, 3) uint8, with random exposure, contrast, white balance, and so on.

    The other effects of a camera are vignetting, a slight blur, and noise.
    """
    height, width = canvas.shape[:2]
    across, down = unit_square(height, width)
    corners = 1 - rng.uniform(0, 0.45) * ((across - 0.5) ** 2 + (down - 0.5) ** 2)
    contrast = rng.uniform(0.88, 1.10)
    warmth = rng.uniform(-0.08, 0.08)
    gain = rgb((1 + warmth, 1.0, 1 - warmth)) * (rng.uniform(0.85, 1.15) * contrast)
    light = canvas * corners[..., None]
    light *= gain
    image = np.asarray(cv2.GaussianBlur(light, (0, 0), rng.uniform(0.35, 0.9)), np.float32)
    grain = rng.uniform(0.006, 0.028) * rng.standard_normal((height, width), dtype=np.float32)
    image += (grain + 0.45 * (1 - contrast))[..., None]
    return np.asarray(np.clip(image * 255 + 0.5, 0, 255), np.uint8)


def _frame(rng: Rng, longer: tuple[int, int], ratios: tuple[float, ...]) -> tuple[int, int]:
    """Draw a random height and width in pixels, given ratios of width / height."""
    side = int(rng.integers(longer[0], longer[1] + 1))
    ratio = float(rng.choice(ratios))
    return (side, round(side * ratio)) if ratio < 1 else (round(side / ratio), side)
