"""Detection of faces with MTCNN, choice of one per photo, and its square crop.

MTCNN: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23 (2016). TensorFlow is imported by `detector()`, not
with this module.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from prunet.data.listing.manifests import LANDMARKS

Photo = NDArray[np.uint8]  # (H, W, 3), RGB

STATUSES = ("ok", "no-face", "unsure", "too-small", "several-faces")
SIDES = (None, 24, 48)  # input of MTCNN's three networks, pixels a side; None: any

# Read by TensorFlow when it is imported.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Face(NamedTuple):
    """A detected face, in pixels from the top left corner of the photo."""

    box: tuple[float, float, float, float]  # x, y, width, height
    confidence: float  # 0 to 1
    landmarks: tuple[tuple[float, float], ...]  # (x, y), in the order of LANDMARKS


Find = Callable[[Photo], list[Face]]


def detector() -> Find:
    """Build MTCNN and return a function that lists the faces of a photo of any size.

    MTCNN detects faces of about 20 pixels or more. It runs on one thread: on small photos more threads are no
    faster, and the last bits of the result depend on their number.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with _held_back():
        return _build()


def _build() -> Find:
    with _hidden("sklearn", "matplotlib"):  # optional for Keras, and a third of its import time
        import tensorflow as tf
        from mtcnn import MTCNN

    network = MTCNN()
    for stage, side in zip(network.stages, SIDES, strict=True):
        # One graph for all sizes and numbers of images: the same faces, five times as fast as with Keras'
        # layer calls. The package has no public option for this.
        images = tf.TensorSpec((None, side, side, 3), tf.float32)
        stage._model = tf.function(stage._model, input_signature=[images]).get_concrete_function()

    def find(photo: Photo) -> list[Face]:
        return [
            Face(
                box=tuple(float(value) for value in found["box"]),  # type: ignore[arg-type]
                confidence=float(found["confidence"]),
                landmarks=tuple((float(x), float(y)) for x, y in (found["keypoints"][k] for k in LANDMARKS)),
            )
            for found in network.detect_faces(photo)
        ]

    return find


@contextmanager
def _held_back() -> Iterator[None]:
    """Hold back what is written to stderr, by C++ too; write it after all if an exception is raised.

    TensorFlow logs lines about the processor and missing GPUs there before its log level applies.
    """
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(stderr, held.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


@contextmanager
def _hidden(*names: str) -> Iterator[None]:
    """Hide installed modules from imports, except those that are already imported."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # importing None raises ImportError
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def detect(photo: Photo, find: Find, max_side: int) -> list[Face]:
    """Detect the faces of a photo, shrunk to at most `max_side` pixels a side for speed.

    Args:
        photo: (H, W, 3) RGB.
        find: a function from `detector`.
        max_side: longest side, in pixels, of the copy that `find` receives.

    Returns:
        The faces, in pixels of `photo`.
    """
    height, width = photo.shape[:2]
    if max(height, width) <= max_side:
        return find(photo)
    shrink = max_side / max(height, width)
    small = (max(1, round(width * shrink)), max(1, round(height * shrink)))
    faces = find(cv2.resize(photo, small, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False))
    return [_scaled(face, width / small[0], height / small[1]) for face in faces]


def _scaled(face: Face, across: float, down: float) -> Face:
    x, y, width, height = face.box
    return face._replace(
        box=(x * across, y * down, width * across, height * down),
        landmarks=tuple((x * across, y * down) for x, y in face.landmarks),
    )


# Rules to choose among usable faces; the first of equal ones wins. None: the photo is not used.
KEEP: dict[str, Callable[[list[Face]], Face | None]] = {
    "largest": lambda faces: max(faces, key=lambda face: face.box[2] * face.box[3]),
    "surest": lambda faces: max(faces, key=lambda face: face.confidence),
    "only": lambda faces: faces[0] if len(faces) == 1 else None,
}


def usable(faces: list[Face], min_confidence: float, min_size: float) -> list[Face]:
    """Return the faces that are certain and large enough; the limits are as in `choose`."""
    return [face for face in faces if face.confidence >= min_confidence and min(face.box[2:]) >= min_size]


def choose(
    faces: list[Face], *, min_confidence: float, min_size: float, keep: str
) -> tuple[Face | None, str, str]:
    """Choose the face of a photo that is used.

    Args:
        faces: all detected faces.
        min_confidence: lowest confidence of a usable face, 0 to 1.
        min_size: shortest side of a usable face's box, in pixels.
        keep: rule to choose among usable faces, a key of `KEEP`.

    Returns:
        The face or None; the photo's status, one of `STATUSES`; and the reason, one sentence or empty.
    """
    if not faces:
        return None, "no-face", "No face was found."
    sure = [face for face in faces if face.confidence >= min_confidence]
    if not sure:
        best = max(face.confidence for face in faces)
        detail = f"The surest face has a confidence of {best:.3f}, less than {min_confidence:g}."
        return None, "unsure", detail
    found = usable(sure, min_confidence, min_size)
    if not found:
        best = max(min(face.box[2:]) for face in sure)
        return None, "too-small", f"The largest face is {best:.0f} pixels wide, less than {min_size:g}."
    face = KEEP[keep](found)
    if face is None:
        return None, "several-faces", f"The photo has {len(found)} usable faces, not one."
    return face, "ok", f"One of {len(found)} usable faces was kept." if len(found) > 1 else ""


def square(box: tuple[float, float, float, float], margin: float) -> tuple[int, int, int]:
    """Return left, top and side, in whole pixels, of the square around a box (x, y, width, height).

    The square is centred on the box and may extend beyond the photo. Its side is the longer side of the box,
    plus the share `margin` of it on either side.
    """
    x, y, width, height = box
    side = max(1, round(max(width, height) * (1 + 2 * margin)))
    return round(x + (width - side) / 2), round(y + (height - side) / 2), side


def cut(photo: Photo, left: int, top: int, side: int) -> Photo:
    """Cut a square out of a photo, (side, side, 3); outside the photo its border pixels are repeated."""
    rows = np.clip(np.arange(top, top + side), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, photo.shape[1] - 1)
    return photo[rows[:, None], columns]
