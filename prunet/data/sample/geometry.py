"""Geometry of the head: pose, pixel coordinates, and the visible surface of an ellipsoid."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.sample.paint import Array, Box, Rng, bounds


class Pose(NamedTuple):
    """Rotation of the head in radians, and expression of the face."""

    yaw: float  # positive: to the right of the picture
    pitch: float  # positive: down
    roll: float  # positive: clockwise
    smile: float  # -1 sad to 1 broad smile
    mouth_open: float  # 0 closed to 1 wide open
    eyes_open: float  # 1: normal
    brows_up: float  # head units
    gaze: float  # offset of the irises in head units


class Position(NamedTuple):
    """Centre and size of a head (or ball) in the photo, in pixels."""

    x: float
    y: float
    unit: float


class View(NamedTuple):
    """A part of a photo with the coordinates of its pixels in head units."""

    canvas: Array  # (H, W, 3), a view of the photo's own pixels
    x: Array  # (H, W)
    y: Array  # (H, W)
    unit: float

    def crop(self, box: Box) -> "View":
        """Return the part inside a box."""
        return View(self.canvas[box], self.x[box], self.y[box], self.unit)

    def where(self, mask: NDArray[np.bool_]) -> "View":
        """Return the smallest part that contains all of `mask`."""
        return self.crop(bounds(mask))


class Surface(NamedTuple):
    """Visible surface of an ellipsoid, per pixel: (H, W) float32 each, in head units."""

    x: Array
    y: Array
    z: Array  # x, y, z: the visible point in the head's own axes
    depth: Array  # distance of that point towards the camera
    outside: Array  # signed distance to the outline, negative inside
    slope: tuple[float, float]  # change of x and y per unit in front of the surface

    def crop(self, box: Box) -> "Surface":
        """Return the part inside a box."""
        x, y, z, depth, outside, slope = self
        return Surface(x[box], y[box], z[box], depth[box], outside[box], slope)

    def in_front(self, height: float) -> tuple[Array, Array]:
        """Return x and y of the point seen at each pixel if it lies `height` in front of the surface."""
        return self.x + height * self.slope[0], self.y + height * self.slope[1]


def random_pose(rng: Rng, calm: float = 1.0) -> Pose:
    """Draw a random pose; `calm` below 1 rotates the head less."""
    smile = rng.uniform(-0.4, 1.1)
    return Pose(
        yaw=rng.uniform(-0.32, 0.32) * calm,
        pitch=rng.uniform(-0.14, 0.13) * calm,
        roll=rng.uniform(-0.16, 0.16) * calm,
        smile=smile,
        mouth_open=max(0.0, rng.uniform(-0.6, 1.0)) * (1.0 if smile > 0 else 0.5),
        eyes_open=rng.uniform(0.75, 1.10) - 0.15 * max(0.0, smile),
        brows_up=rng.uniform(-0.015, 0.035),
        gaze=rng.uniform(-0.03, 0.03),
    )


def view_around(canvas: Array, position: Position, roll: float = 0.0, reach: float = math.inf) -> View:
    """Return the part of `canvas` within `reach` head units of `position`, with axes rotated by `roll`."""
    box, offsets = [], []
    for middle, size in ((position.y, canvas.shape[0]), (position.x, canvas.shape[1])):
        first = int(max(0, middle - reach * position.unit))
        last = int(min(size, middle + reach * position.unit))
        box.append(slice(first, last))
        offsets.append((np.arange(first, last, dtype=np.float32) - middle) / position.unit)
    down, across = offsets[0][:, None], offsets[1]
    cosine, sine = math.cos(roll), math.sin(roll)
    x, y = cosine * across + sine * down, cosine * down - sine * across
    return View(canvas[box[0], box[1]], x, y, position.unit)


def project(point: tuple[float, float, float], pose: Pose) -> tuple[float, float]:
    """Return the x and y in a view of a point given in the head's axes."""
    x, y, _ = _turn(pose) @ np.array(point)
    return float(x), float(y)


def ellipsoid(x: Array, y: Array, axes: tuple[float, float, float], pose: Pose) -> Surface:
    """Intersect each pixel's ray with the ellipsoid of half axes `axes` (nearer root of a quadratic)."""
    right, down, ray = _turn(pose).tolist()
    start = [right[i] * x + down[i] * y for i in range(3)]
    square = sum((ray[i] / axes[i]) ** 2 for i in range(3))
    linear = sum(start[i] * (ray[i] / axes[i] ** 2) for i in range(3))
    constant = sum(((start[i] / axes[i]) ** 2 for i in range(3)), start=-1)
    root = linear * linear - square * constant
    depth = (np.sqrt(np.clip(root, 0, None)) - linear) / square
    point = [start[i] + ray[i] * depth for i in range(3)]
    outside = root * (-0.42 / square)
    return Surface(point[0], point[1], point[2], depth, outside, (ray[0] / ray[2], ray[1] / ray[2]))


def _turn(pose: Pose) -> Array:
    """Return the rotation (3, 3) from the head's axes to those of a view, which includes the roll."""
    sine, cosine = math.sin(pose.yaw), math.cos(pose.yaw)
    yaw = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    sine, cosine = math.sin(pose.pitch), math.cos(pose.pitch)
    pitch = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    return np.asarray(pitch @ yaw)
