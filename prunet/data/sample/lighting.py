"""The lamp, and how bright it makes what stands in its light."""

import math
from typing import NamedTuple

import cv2
import numpy as np

from prunet.data.sample.paint import Array, Rng

Normals = tuple[Array, Array, Array]  # x, y and z of the unit normals: (H, W) each


class Light(NamedTuple):
    """Where light comes from: `direction` points to the lamp (x right, y down, z to the camera), length 1."""

    direction: tuple[float, float, float]
    lamp: float  # brightness of what faces the lamp
    ambient: float  # brightness of what the lamp does not reach


def some_light(rng: Rng) -> Light:
    """Draw a lamp: from the left, the front or the right, mostly from above."""
    azimuth = rng.uniform(-0.80, 0.80)
    height = rng.uniform(-0.05, 0.85)
    ambient = rng.uniform(0.45, 0.65)
    level = math.cos(height)
    direction = math.sin(azimuth) * level, -math.sin(height), math.cos(azimuth) * level
    return Light(direction, rng.uniform(0.95, 1.30) - ambient, ambient)


def normals(depth: Array, unit: float) -> Normals:
    """Return the normals of a height map in head units."""
    right = np.clip(cv2.Sobel(depth, cv2.CV_32F, 1, 0, ksize=3, scale=unit / 8), -3, 3)
    down = np.clip(cv2.Sobel(depth, cv2.CV_32F, 0, 1, ksize=3, scale=unit / 8), -3, 3)
    length = np.sqrt(right * right + down * down + 1)
    return -right / length, -down / length, 1 / length


def shade(facing: Normals, light: Light) -> Array:
    """How bright each pixel is: (H, W). The lamp reaches a little around the edge."""
    x, y, z = facing
    right, down, front = light.direction
    lamp = np.clip((x * right + y * down + z * front + 0.2) / 1.2, 0, 1)
    return np.asarray(light.ambient * (0.85 - 0.15 * y + 0.1 * z) + light.lamp * lamp)


def gloss(facing: Normals, light: Light) -> Array:
    """The lamp's reflection on skin: (H, W)."""
    x, y, z = facing
    right, down, front = light.direction
    length = math.sqrt(2 + 2 * front)  # of the sum of the directions to the lamp and to the camera
    mirror = np.clip((x * right + y * down + z * (front + 1)) / length, 0, 1)
    return np.asarray(0.14 * light.lamp * mirror**18)


def shade_column(across: Array, light: Light) -> Array:
    """How bright a standing cylinder is, by the place `across` it, -1 to 1."""
    lamp = np.clip(0.58 + 0.5 * np.clip(across, -1, 1) * light.direction[0], 0, 1)
    return np.asarray(light.ambient + light.lamp * lamp)
