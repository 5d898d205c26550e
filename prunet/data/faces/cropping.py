"""Cropping: the faces of many photos, in several processes."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

from prunet.base.errors import InputError
from prunet.base.processes import cores
from prunet.data.decoding import load_rgb
from prunet.data.faces import detection

WORTH = 100  # photos that are worth the start of one more process

_find: detection.Find  # MTCNN in this process, since `_load`


def processes_for(photos: int) -> int:
    """Return how many processes find the faces of so many photos the soonest."""
    return max(1, min(cores(), photos // WORTH))


def crop_all(rows: Sequence[dict[str, Any]], processes: int, **how: Any) -> Iterator[dict[str, Any]]:
    """Yield what `crop_one` makes of each row, in the order of the rows.

    One process is this one, several are forked from it: a process that imported TensorFlow cannot be.

    Raises:
        InputError: `crop_one` raised it, or a process was killed; the others are ended.
    """
    crop = partial(crop_one, **how)
    if processes == 1:
        _load()
        yield from map(crop, rows)
        return
    others = set(active_children())
    with ProcessPoolExecutor(processes, get_context("fork"), _begin) as pool:
        futures = [pool.submit(crop, row) for row in rows]
        try:
            yield from (future.result() for future in futures)
        except BrokenProcessPool:
            raise InputError(
                "a process that looks for faces was killed, often by too little memory (each needs about "
                "1 GB): free some, or use fewer cores, as in `taskset -c 0 dvc repro`."
            ) from None
        finally:  # after Ctrl-C, too: what is under way is not worth the wait
            for process in set(active_children()) - others:
                process.kill()


def _load() -> None:
    global _find
    _find = detection.detector()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes: the parent ends this one
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _load()


def _leave_with_parent() -> None:
    """End this process when its parent ends, even by SIGKILL."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def crop_one(
    row: dict[str, Any], *, photos: Path, output: Path, margin: float, max_side: int, **rules: Any
) -> dict[str, Any]:
    """Write the face of a photo to the folder `output`, if it has one; return the row of the manifest.

    Args:
        row: of the manifest of the folder `photos`, with its place.
        margin: as in `detection.square`.
        max_side: as in `detection.detect`.
        rules: as in `detection.choose`.
    """
    photo = load_rgb(photos / row["image"])
    faces = detection.detect(photo, _find, max_side)
    face, status, detail = detection.choose(faces, **rules)
    result = {key: row[key] for key in ("row", "place", "label")}
    result |= {"status": status, "detail": detail, "photo": row["image"], "faces": len(faces)}
    result["photo_hash"] = f"{detection.perceptual_hash(photo):016x}"
    if face is not None:
        result |= {"image": str(PurePosixPath(row["image"]).with_suffix(".png"))} | numbers(face)
        (output / row["label"]).mkdir(parents=True, exist_ok=True)
        crop = detection.cut(photo, *detection.square(face.box, margin))
        Image.fromarray(crop).save(output / result["image"], compress_level=1)
    return result


def numbers(face: detection.Face) -> dict[str, Any]:
    """Return the columns that describe a face: pixels to a tenth, and its confidence."""
    values = dict(zip(("x", "y", "width", "height"), face.box, strict=True))
    for name, (x, y) in zip(detection.LANDMARKS, face.landmarks, strict=True):
        values |= {f"{name}_x": x, f"{name}_y": y}
    return {key: round(value, 1) for key, value in values.items()} | {"confidence": round(face.confidence, 4)}
