"""Cropping of the faces of many photos in several processes."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from prunet.base.errors import InputError
from prunet.base.processes import cores, end_with_parent
from prunet.data.faces import detection, embedding, likeness
from prunet.data.hashing import perceptual_hash
from prunet.data.images.decoding import load_rgb
from prunet.data.listing.manifests import LANDMARKS

PHOTOS_PER_PROCESS = 100  # with fewer, another process takes longer to start than it saves

MOST_ALIKE = "most-alike"  # the rule of crop.keep that looks at the other photos of a label

_find: detection.Find  # MTCNN of this process, set by `_load`
_embed: embedding.Embed | None  # SFace of this process; None without embeddings


class Result(NamedTuple):
    """Result of one photo."""

    row: dict[str, Any]  # of the manifest (`manifests.CROP_COLUMNS`)
    faces: list[detection.Face]  # the one that is kept, or those that `most-alike` has to choose from
    embeddings: likeness.Vectors  # (faces, D); without embeddings D is 0


def processes_for(photos: int) -> int:
    """Return the number of processes that crop so many photos fastest."""
    return max(1, min(cores(), photos // PHOTOS_PER_PROCESS))


def crop_all(
    rows: Sequence[dict[str, Any]], processes: int, embedded: bool = False, **settings: Any
) -> Iterator[Result]:
    """Yield the result of `crop_one` for each row, in order; the number of processes does not change it.

    A single process is the current one. Several are forked from it, so it must not have imported TensorFlow.

    Args:
        rows: as in `crop_one`.
        processes: number of processes.
        embedded: whether the kept faces are embedded.
        settings: keyword arguments of `crop_one`.

    Raises:
        InputError: `crop_one` raised it, or a process was killed; all other processes are ended.
    """
    crop = partial(crop_one, **settings)
    if processes == 1:
        _load(embedded)
        yield from map(crop, rows)
        return
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("fork"), _begin, (embedded,)) as pool:
        try:
            yield from pool.map(crop, rows)
        except BrokenProcessPool:
            raise InputError(
                "a process that detects faces was killed, probably for lack of memory (each needs about "
                "1 GB): free some memory, or use fewer cores, as in `taskset -c 0 dvc repro`."
            ) from None
        finally:  # do not wait for unfinished photos, for example after Ctrl-C
            for process in set(active_children()) - others:
                process.kill()


def _load(embedded: bool) -> None:
    global _find, _embed
    _find = detection.detector()
    _embed = embedding.embedder() if embedded else None


def _begin(embedded: bool) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the parent ends this one
    end_with_parent()
    _load(embedded)


def crop_one(
    row: dict[str, Any], *, photos: Path, output: Path, margin: float, max_side: int, keep: str, **limits: Any
) -> Result:
    """Write the face of a photo, if it has one to keep, and return the photo's result.

    With the rule `most-alike` a photo with several usable faces is left to `alike.keep_most_alike`.

    Args:
        row: row of the manifest of `photos`, with its `place`.
        photos: folder of the photos.
        output: folder for the crop, LABEL/NAME.png.
        margin: see `detection.square`.
        max_side: see `detection.detect`.
        keep: `most-alike`, or see `detection.choose`.
        limits: see `detection.usable`.
    """
    photo = load_rgb(photos / row["image"])
    faces = detection.detect(photo, _find, max_side)
    rule = "only" if keep == MOST_ALIKE else keep
    face, status, detail = detection.choose(faces, **limits, keep=rule)
    result = {key: row[key] for key in ("row", "place", "label")}
    result |= {"status": status, "detail": detail, "photo": row["image"], "faces": len(faces)}
    usable = detection.usable(faces, **limits)
    result |= {"usable": len(usable), "photo_hash": f"{perceptual_hash(photo):016x}"}
    found = [] if face is None else [face]
    if face is not None:
        result |= write_crop(result, photo, face, output, margin)
    elif keep == MOST_ALIKE:
        found = usable
    vectors = [_embed(photo, face) for face in found] if _embed else []
    return Result(result, found, np.reshape(vectors, (len(found), -1 if vectors else 0)).astype(np.float32))


def write_crop(
    row: dict[str, Any], photo: detection.Photo, face: detection.Face, output: Path, margin: float
) -> dict[str, Any]:
    """Write the crop of a photo's face; return the columns that tell where it is."""
    image = str(PurePosixPath(row["photo"]).with_suffix(".png"))
    (output / row["label"]).mkdir(parents=True, exist_ok=True)
    crop = detection.cut(photo, *detection.square(face.box, margin))
    Image.fromarray(crop).save(output / image, compress_level=1)
    return {"image": image} | numbers(face)


def numbers(face: detection.Face) -> dict[str, Any]:
    """Return the manifest columns of a face: pixels with one decimal, and its confidence."""
    values = dict(zip(("x", "y", "width", "height"), face.box, strict=True))
    for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=True):
        values |= {f"{name}_x": x, f"{name}_y": y}
    return {key: round(value, 1) for key, value in values.items()} | {"confidence": round(face.confidence, 4)}
