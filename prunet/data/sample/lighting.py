"""Lighting: one lamp and ambient light."""

import math
from typing import NamedTuple

import cv2
import numpy as np

from prunet.data.sample.paint import Array, Rng

Normals = tuple[Array, Array, Array]  # x, y and z of the unit normals: (H, W) each


class Light(NamedTuple):
    """Light of a photo; `direction` is the unit vector to the lamp (x right, y down, z to the camera)."""

    direction: tuple[float, float, float]
    lamp: float  # brightness of a surface facing the lamp
    ambient: float  # brightness of a surface in the shade


def random_light(rng: Rng) -> Light:
    """Draw a random lamp: left, front or right, usually above."""
    azimuth = rng.uniform(-0.80, 0.80)
    height = rng.uniform(-0.05, 0.85)
    ambient = rng.uniform(0.45, 0.65)
    level = math.cos(height)
    direction = math.sin(azimuth) * level, -math.sin(height), math.cos(azimuth) * level
    return Light(direction, rng.uniform(0.95, 1.30) - ambient, ambient)


def normals(depth: Array, unit: float) -> Normals:
    """Return the normals of a height map given in head units."""
    right = np.clip(cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=unit / 8), -3, 3)
    down = np.clip(cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=unit / 8), -3, 3)
    length = np.sqrt(right * right + down * down + 1)
    return -right / length, -down / length, 1 / length


def shade(facing: Normals, light: Light) -> Array:
    """Return the brightness of each pixel, (H, W); the lamp reaches slightly beyond the terminator."""
    x, y, z = facing
    right, down, front = light.direction
    lamp = np.clip((x * right + y * down + z * front + 0.2) / 1.2, 0, 1)
    return np.asarray(light.ambient * (0.85 - 0.15 * y + 0.1 * z) + light.lamp * lamp)


def gloss(facing: Normals, light: Light) -> Array:
    """Return the specular reflection of the lamp on skin: (H, W)."""
    x, y, z = facing
    right, down, front = light.direction
    length = math.sqrt(2 + 2 * front)  # of the sum of the unit vectors to the lamp and the camera
    mirror = np.clip((x * right + y * down + z * (front + 1)) / length, 0, 1)
    return np.asarray(0.14 * light.lamp * mirror**18)


def shade_column(across: Array, light: Light) -> Array:
    """Return the brightness of an upright cylinder at the position `across` it, -1 to 1."""
    lamp = np.clip(0.58 + 0.5 * np.clip(across, -1, 1) * light.direction[0], 0, 1)
    return np.asarray(light.ambient + light.lamp * lamp)
