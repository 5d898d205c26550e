"""The head in space: how it is turned, where its pixels are, and what the camera sees of an ellipsoid."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.sample.paint import Array, Box, Rng, bounds


class Pose(NamedTuple):
    """How the head is turned, in radians, and what the face does."""

    yaw: float  # above 0: to the right of the picture
    pitch: float  # above 0: down
    roll: float  # above 0: clockwise
    smile: float  # -1 sad to 1 broad smile
    mouth_open: float  # 0 closed to 1 wide open
    eyes_open: float  # 1 as usual
    brows_up: float  # head units
    gaze: float  # head units that the irises are off their middle


class Place(NamedTuple):
    """Where a head stands in the photo: its centre and 1 head unit, in pixels."""

    x: float
    y: float
    unit: float


class View(NamedTuple):
    """A part of a photo, and where each of its pixels is for the head that stands there."""

    canvas: Array  # (H, W, 3); what is painted on it is painted on the photo
    x: Array  # (H, W), as y
    y: Array
    unit: float

    def crop(self, box: Box) -> "View":
        """Return the part within a box."""
        return View(self.canvas[box], self.x[box], self.y[box], self.unit)

    def where(self, mask: NDArray[np.bool_]) -> "View":
        """Return the smallest part that holds all of `mask`."""
        return self.crop(bounds(mask))


class Surface(NamedTuple):
    """What the camera sees of an ellipsoid, pixel by pixel: (H, W) float32 each, in head units."""

    x: Array
    y: Array
    z: Array  # x, y, z: the point in the head's own axes
    depth: Array  # its height towards the camera
    outside: Array  # signed distance to the outline: below 0 inside
    slope: tuple[float, float]  # change of x and y per unit that a point stands out of the surface

    def crop(self, box: Box) -> "Surface":
        """Return the part within a box."""
        x, y, z, depth, outside, slope = self
        return Surface(x[box], y[box], z[box], depth[box], outside[box], slope)

    def stand_out(self, height: float) -> tuple[Array, Array]:
        """Return x and y of what is seen at each pixel if it stands `height` in front of the surface."""
        return self.x + height * self.slope[0], self.y + height * self.slope[1]


def some_pose(rng: Rng, calm: float = 1.0) -> Pose:
    """Draw a pose; `calm` below 1 turns the head less."""
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


def look_at(canvas: Array, place: Place, roll: float = 0.0, reach: float = math.inf) -> View:
    """View the part of `canvas` within `reach` head units of `place`, in axes that are turned by `roll`."""
    box, offsets = [], []
    for middle, size in ((place.y, canvas.shape[0]), (place.x, canvas.shape[1])):
        first, last = int(max(0, middle - reach * place.unit)), int(min(size, middle + reach * place.unit))
        box.append(slice(first, last))
        offsets.append((np.arange(first, last, dtype=np.float32) - middle) / place.unit)
    down, across = offsets[0][:, None], offsets[1]
    cosine, sine = math.cos(roll), math.sin(roll)
    x, y = cosine * across + sine * down, cosine * down - sine * across
    return View(canvas[box[0], box[1]], x, y, place.unit)


def project(point: tuple[float, float, float], pose: Pose) -> tuple[float, float]:
    """Return where in a view a point of the head is."""
    x, y, _ = _turn(pose) @ np.array(point)
    return float(x), float(y)


def ellipsoid(x: Array, y: Array, axes: tuple[float, float, float], pose: Pose) -> Surface:
    """Follow each pixel's ray to the ellipsoid with these half axes: a quadratic equation's nearer root."""
    right, down, ray = _turn(pose).tolist()
    start = [right[i] * x + down[i] * y for i in range(3)]
    square = sum((ray[i] / axes[i]) ** 2 for i in range(3))
    linear = start[0] * (ray[0] / axes[0] ** 2)
    constant = (start[0] / axes[0]) ** 2 - 1
    for i in (1, 2):
        linear += start[i] * (ray[i] / axes[i] ** 2)
        constant += (start[i] / axes[i]) ** 2
    root = linear * linear - square * constant
    depth = (np.sqrt(np.clip(root, 0, None)) - linear) / square
    point = [start[i] + ray[i] * depth for i in range(3)]
    outside = root * (-0.42 / square)
    return Surface(point[0], point[1], point[2], depth, outside, (ray[0] / ray[2], ray[1] / ray[2]))


def _turn(pose: Pose) -> Array:
    """The rotation from the head's axes to the picture's: (3, 3). A view has rolled already."""
    sine, cosine = math.sin(pose.yaw), math.cos(pose.yaw)
    yaw = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    sine, cosine = math.sin(pose.pitch), math.cos(pose.pitch)
    pitch = np.array([[1, 0, 0], [0, cosine, sine], [0, -sine, cosine]])
    return np.asarray(pitch @ yaw)
