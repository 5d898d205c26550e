"""What a photo shows: its faces, found with MTCNN, one of them as a square crop, and a perceptual hash.

MTCNN: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment Using Multitask Cascaded
Convolutional Networks", IEEE Signal Processing Letters 23 (2016). Importing this module does not
import TensorFlow: `detector()` does.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import cv2
import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Photo = NDArray[np.uint8]  # (H, W, 3), RGB

LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left as seen in the photo
STATUSES = ("ok", "no-face", "unsure", "too-small", "several-faces")
SIDES = (None, 24, 48)  # pixels a side that MTCNN's three networks see, None: any

# TensorFlow reads it once, when it is imported.
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Face(NamedTuple):
    """A face that was found; everything is in pixels of the photo, from its top left corner."""

    box: tuple[float, float, float, float]  # x, y, width, height
    confidence: float  # 0 to 1
    landmarks: tuple[tuple[float, float], ...]  # (x, y), in the order of LANDMARKS


Find = Callable[[Photo], list[Face]]


def detector() -> Find:
    """Build MTCNN; return a function that gives the faces of a photo, an empty list if there is none.

    It finds faces from about 20 pixels on. A photo of any size will do, down to a single pixel. It uses one
    thread: several cost more than they gain on small photos, and with their number the last bits vary.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    with _hidden("sklearn", "matplotlib"):  # Keras imports them where it can: a third of the start
        import tensorflow as tf
        from mtcnn import MTCNN

    network = MTCNN()
    for stage, side in zip(network.stages, SIDES, strict=True):
        # As one graph for every size and number of images: the same faces in a fifth of the time, which
        # Keras' layer calls take. The package has no public way to say so.
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
def _hidden(*names: str) -> Iterator[None]:
    """Let modules seem not to be installed; those that are imported already stay."""
    absent = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(absent))  # type: ignore[arg-type]  # None: importing it raises ImportError
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


def detect(photo: Photo, find: Find, max_side: int) -> list[Face]:
    """Return the faces of a photo, in its own pixels; `find` sees a copy of at most `max_side` pixels a side.

    The time that MTCNN takes grows with the area of the photo, the size of a usable face does not.
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
    return Face(
        box=(x * across, y * down, width * across, height * down),
        confidence=face.confidence,
        landmarks=tuple((x * across, y * down) for x, y in face.landmarks),
    )


def _area(face: Face) -> float:
    return face.box[2] * face.box[3]


# The rules for a photo with usable faces; None: the photo is not used. Equal ones: the first that was found.
KEEP: dict[str, Callable[[list[Face]], Face | None]] = {
    "largest": lambda faces: max(faces, key=_area),
    "surest": lambda faces: max(faces, key=lambda face: face.confidence),
    "only": lambda faces: faces[0] if len(faces) == 1 else None,
}


def choose(
    faces: list[Face], *, min_confidence: float, min_size: float, keep: str
) -> tuple[Face | None, str, str]:
    """Choose the face of a photo by the rule `keep`, a key of `KEEP`.

    Usable are faces with at least `min_confidence` (0 to 1) whose box has a shorter side of at least
    `min_size` pixels. Return the face, or None; what became of the photo, one of `STATUSES`; and why,
    in a short sentence that is empty where there is nothing to say.
    """
    if not faces:
        return None, "no-face", "No face was found."
    sure = [face for face in faces if face.confidence >= min_confidence]
    if not sure:
        best = max(face.confidence for face in faces)
        return (
            None,
            "unsure",
            f"The surest face has a confidence of {best:.3f}, less than {min_confidence:g}.",
        )
    usable = [face for face in sure if min(face.box[2:]) >= min_size]
    if not usable:
        best = max(min(face.box[2:]) for face in sure)
        return None, "too-small", f"The largest face is {best:.0f} pixels wide, less than {min_size:g}."
    face = KEEP[keep](usable)
    if face is None:
        return None, "several-faces", f"The photo has {len(usable)} usable faces, not one."
    return face, "ok", f"One of {len(usable)} usable faces was kept." if len(usable) > 1 else ""


def square(box: tuple[float, float, float, float], margin: float) -> tuple[int, int, int]:
    """Return left, top and side, in whole pixels, of the square around a box (x, y, width, height).

    It has the centre of the box, and its side is the box's longer one plus `margin` of it on either
    side. It may reach out of the photo.
    """
    x, y, width, height = box
    side = max(1, round(max(width, height) * (1 + 2 * margin)))
    return round(x + (width - side) / 2), round(y + (height - side) / 2), side


def cut(photo: Photo, left: int, top: int, side: int) -> Photo:
    """Return (side, side, 3) pixels of a photo; those outside of it repeat its nearest border pixel."""
    rows = np.clip(np.arange(top, top + side), 0, photo.shape[0] - 1)
    columns = np.clip(np.arange(left, left + side), 0, photo.shape[1] - 1)
    return photo[rows[:, None], columns]


def perceptual_hash(image: NDArray[np.uint8]) -> np.uint64:
    """Return 64 bits that say what an image (H, W) or (H, W, 3) looks like: similar ones differ in few.

    The bits are the signs of its lowest 8 x 8 cosine frequencies about their median (ImageHash's
    `phash`; Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010).
    """
    bits = imagehash.phash(Image.fromarray(image)).hash
    return np.uint64(int.from_bytes(np.packbits(bits).tobytes()))
