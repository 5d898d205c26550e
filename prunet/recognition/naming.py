"""Names for the faces on photos; faces are detected, cropped and made gray as they were for training."""

from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces import detection, gray
from prunet.data.images.decoding import Rejection
from prunet.recognition.output import printable
from prunet.recognition.pictures import Source, load_all

KEEP = ("all", *detection.KEEP)  # which faces of a photo are named

Row = dict[str, Any]
Prepare = Callable[[detection.Photo, detection.Face], NDArray[Any]]


class Extraction(NamedTuple):
    """The faces extracted from one photo."""

    status: str  # one of detection.STATUSES, or why the file could not be read
    detail: str  # why there is no face, or empty
    faces: list[detection.Face]  # from left to right
    inputs: list[NDArray[Any]]  # each face in the form that the recogniser scores


def columns(measure: str) -> tuple[str, ...]:
    """Return the columns of the results.

    `known` tells whether a face has a name. An unknown one has none, because any word may be somebody's name.

    Args:
        measure: as in `Recogniser`.
    """
    place = ("file", "status", "detail", "x", "y", "width", "height", "confidence")
    return (*place, "known", "name", measure, "likeliest")


def gray_face(settings: dict[str, Any]) -> Prepare:
    """Return a function that makes a face (1, S, S) uint8, as the data set stores it.

    Args:
        settings: with `margin` and `size`, as from `face_settings`.
    """
    return partial(_gray_face, margin=settings["margin"], size=settings["size"])


def _gray_face(photo: detection.Photo, face: detection.Face, margin: float, size: int) -> NDArray[np.uint8]:
    return gray.to_gray(detection.cut(photo, *detection.square(face.box, margin)), size)[None]


def extract(
    photo: detection.Photo, find: detection.Find, settings: dict[str, Any], keep: str, prepare: Prepare
) -> Extraction:
    """Find the faces on a photo (H, W, 3) RGB and prepare them.

    Args:
        photo: from `pictures.load`.
        find: from `detection.detector`.
        settings: with `min_confidence`, `min_size` and `max_side`, as from `face_settings`.
        keep: `all` usable faces, or one by a rule of `detection.KEEP`.
        prepare: gives a face the form that the recogniser scores.
    """
    limits = {"min_confidence": settings["min_confidence"], "min_size": settings["min_size"]}
    faces = detection.detect(photo, find, settings["max_side"])
    best, status, detail = detection.choose(faces, **limits, keep="largest" if keep == "all" else keep)
    chosen = [best] if best else []
    if best and keep == "all":  # a face is usable if it would be chosen if it were alone
        usable = [face for face in faces if detection.choose([face], **limits, keep="only")[0]]
        chosen = sorted(usable, key=lambda face: face.box)
    inputs = [prepare(photo, face) for face in chosen]
    return Extraction(status, "" if chosen else detail, chosen, inputs)


def extract_all(
    sources: Sequence[Source], find: detection.Find, settings: dict[str, Any], keep: str, prepare: Prepare
) -> tuple[list[tuple[Source, Extraction]], float]:
    """Extract the faces of every photo; return them and the seconds that it took, without reading the files.

    Raises:
        InputError: none of the files could be read as a photo.
    """
    extracted, seconds = [], 0.0
    for source, photo in load_all(sources):
        if isinstance(photo, Rejection):
            extracted.append((source, Extraction(photo.status, photo.detail, [], [])))
            continue
        begin = perf_counter()
        extracted.append((source, extract(photo, find, settings, keep, prepare)))
        seconds += perf_counter() - begin
    return extracted, seconds


def name_faces(
    extracted: Sequence[tuple[Source, Extraction]],
    names: Sequence[str],
    scores: NDArray[np.float32],
    threshold: float,
    measure: str,
) -> list[list[Row]]:
    """Return, for each photo, a row (`columns`) for every face, or one row that says why there is none.

    Args:
        extracted: from `extract_all`.
        names: of the people.
        scores: (faces, names), all faces in their order, 0 to 1.
        threshold: a face whose highest score is lower is unknown.
        measure: as in `Recogniser`.
    """
    remaining = iter(scores)
    photos = []
    for source, (status, detail, faces, _) in extracted:
        row = dict.fromkeys(columns(measure)) | {"file": printable(str(source.path)), "status": status}
        rows = [row | _named(face, names, next(remaining), threshold, measure) for face in faces]
        photos.append(rows or [row | {"detail": printable(detail)}])
    return photos


def _named(
    face: detection.Face, names: Sequence[str], scores: NDArray[np.float32], threshold: float, measure: str
) -> Row:
    best = int(scores.argmax())
    score, likeliest = float(scores[best]), printable(names[best])
    return {
        **dict(zip(("x", "y", "width", "height"), map(round, face.box), strict=True)),
        "confidence": round(face.confidence, 4),
        "known": score >= threshold,
        "name": likeliest if score >= threshold else None,
        measure: round(score, 4),
        "likeliest": likeliest,
    }


def score_text(row: Row, decimals: int = 0) -> str:
    """Return the score of a face: a probability in percent with so many decimals, or a likeness, 0 to 1."""
    return f"{row['probability']:.{decimals}%}" if "probability" in row else f"{row['likeness']:.2f}"
