"""Who is on a photo: faces are found, cut out and made gray as they were for the dataset."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from prunet.base.errors import InputError
from prunet.config.block import Count, Share
from prunet.data.decoding import Rejection
from prunet.data.faces import detection, gray
from prunet.recognition.pictures import Source, load_all
from prunet.recognition.tables import printable

KEEP = ("all", *detection.KEEP)  # which faces of a photo are named
UNKNOWN = "unknown"
COLUMNS = (
    *("file", "status", "detail", "x", "y", "width", "height", "confidence"),
    *("name", "probability", "likeliest"),
)

Row = dict[str, Any]


class Look(NamedTuple):
    """What one photo shows."""

    status: str  # of detection.STATUSES, or why the file could not be read
    detail: str  # why there is no face; empty where there is nothing to say
    faces: list[detection.Face]  # from left to right
    images: list[NDArray[np.uint8]]  # each face as the dataset stores it, (1, S, S)


class _Faces(BaseModel):
    model_config = ConfigDict(strict=True)

    min_confidence: Share
    min_size: Count
    margin: float = Field(ge=0, le=5)
    max_side: Count
    size: Count


class _Said(BaseModel):
    model_config = ConfigDict(strict=True)

    faces: _Faces
    threshold: Share


def settings(about: dict[str, Any], ticket: Path) -> dict[str, Any]:
    """Return how the faces of a ticket's dataset were found and cut out, and its `threshold`.

    Args:
        about: what is said about the ticket, checked for a network's part alone.
        ticket: its file, for messages.

    Raises:
        InputError: it is no ticket of faces, or says of them what cannot be.
    """
    if about.get("faces") is None:
        known = ", ".join(about["class_names"][:3])
        raise InputError(
            f"{ticket} is not a ticket of faces (its classes are {known}, ...): give one of a face study, or "
            "use `python -m stages.read_digits`."
        )
    try:
        said = _Said.model_validate(about)
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])
        raise InputError(f"{ticket} is damaged ({where}: {wrong['msg']}): export it again.") from None
    if said.faces.size != about["preparation"]["stored"]:
        raise InputError(f"{ticket} is damaged (it has two sizes of a face's image): export it again.")
    return said.faces.model_dump() | {"threshold": said.threshold}


def look(photo: detection.Photo, find: detection.Find, how: dict[str, Any], keep: str) -> Look:
    """Find the faces of a photo (H, W, 3) RGB and make them what the dataset stores.

    Args:
        photo: from `load_rgb`.
        find: from `detection.detector`.
        how: from `settings`.
        keep: `all` usable faces, or one by a rule of `detection.KEEP`.
    """
    limits = {"min_confidence": how["min_confidence"], "min_size": how["min_size"]}
    faces = detection.detect(photo, find, how["max_side"])
    best, status, detail = detection.choose(faces, **limits, keep="largest" if keep == "all" else keep)
    chosen = [best] if best else []
    if best and keep == "all":  # usable is what would be chosen if it were alone
        usable = [face for face in faces if detection.choose([face], **limits, keep="only")[0]]
        chosen = sorted(usable, key=lambda face: face.box)
    crops = [detection.cut(photo, *detection.square(face.box, how["margin"])) for face in chosen]
    images = [gray.to_gray(crop, how["size"])[None] for crop in crops]
    return Look(status, "" if chosen else detail, chosen, images)


def search(
    sources: Sequence[Source], find: detection.Find, how: dict[str, Any], keep: str
) -> tuple[list[tuple[Source, Look]], float]:
    """Look at every photo; return what each shows, and the seconds that it took, reading aside.

    Raises:
        InputError: not one file could be read as a photo.
    """
    seen, seconds = [], 0.0
    for source, photo in load_all(sources):
        if isinstance(photo, Rejection):
            seen.append((source, Look(photo.status, photo.detail, [], [])))
            continue
        begin = perf_counter()
        seen.append((source, look(photo, find, how, keep)))
        seconds += perf_counter() - begin
    return seen, seconds


def results(
    seen: Sequence[tuple[Source, Look]],
    answers: NDArray[np.float32],
    class_names: Sequence[str],
    threshold: float,
) -> list[list[Row]]:
    """Return for each photo a row (`COLUMNS`) for every face, or one that says why there is none.

    Args:
        seen: what each photo shows.
        answers: probabilities (faces, classes) of all faces, in their order.
        class_names: one for each class.
        threshold: a face whose likeliest name is less probable is unknown.
    """
    remaining = iter(answers)
    photos = []
    for source, (status, detail, faces, _) in seen:
        row = dict.fromkeys(COLUMNS) | {"file": printable(str(source.path)), "status": status}
        rows = [row | _named(face, next(remaining), class_names, threshold) for face in faces]
        photos.append(rows or [row | {"detail": printable(detail)}])
    return photos


def _named(
    face: detection.Face, probabilities: NDArray[np.float32], class_names: Sequence[str], threshold: float
) -> Row:
    best = int(probabilities.argmax())
    probability, likeliest = float(probabilities[best]), printable(class_names[best])
    return {
        **dict(zip(("x", "y", "width", "height"), map(round, face.box), strict=True)),
        "confidence": round(face.confidence, 4),
        "name": likeliest if probability >= threshold else UNKNOWN,
        "probability": round(probability, 4),
        "likeliest": likeliest,
    }
