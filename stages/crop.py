"""Stage crop: cut the face out of each photo."""

import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from pathlib import Path, PurePosixPath
from typing import Any

import click
from PIL import Image
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import UNDERSCORES
from prunet.faces import detection, quality, scraping
from prunet.faces.images import load_rgb

WORTH = 100  # photos that are worth the start of one more process

_find: detection.Find  # MTCNN in this process, since `_load`


@click.command(context_settings=UNDERSCORES)
@click.option(
    "--min-confidence", type=click.FloatRange(0, 1), required=True, help="Least confidence of a face, 0 to 1."
)
@click.option(
    "--min-size",
    type=click.IntRange(1),
    required=True,
    help="Least length of the shorter side of a face's box, in pixels of the photo.",
)
@click.option(
    "--keep",
    type=click.Choice(list(detection.KEEP)),
    required=True,
    help="Which face of a photo with several: the largest, the surest, or none (only: it must be alone).",
)
@click.option(
    "--margin",
    type=click.FloatRange(0, 5),
    required=True,
    help="Room on each side of the face, as a share of the longer side of its box.",
)
@click.option(
    "--max-side",
    type=click.IntRange(12),
    required=True,
    help="Photos with a longer side of more pixels are shrunk to it for the search (the crop is not).",
)
@click.option(
    "--min-accepted",
    type=click.FloatRange(0, 1),
    required=True,
    help="A person is in doubt if a smaller share of the photos, 0 to 1, has a usable face.",
)
@click.option(
    "--doubtful",
    type=click.Choice(quality.SEVERITIES),
    required=True,
    help="What to do about people in doubt, and photos that are listed for two: warn, or refuse the list.",
)
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
def main(
    photos: Path, output: Path, metrics: Path, min_accepted: float, doubtful: str, **settings: Any
) -> None:
    """Find the face in each photo of the folder PHOTOS and write it as a square colour PNG to OUTPUT.

    OUTPUT/manifest.csv says what became of each photo, with box and landmarks in pixels of the photo;
    METRICS (JSON) counts the photos by that. Photos are looked at side by side, in as many processes as this
    one may use cores and are worth their start; the results do not depend on how many.
    """
    listed = with_places(quality.read_manifest(photos, scraping.COLUMNS))
    rows = [row for row in listed if row["status"] == "ok"]
    if not rows:
        raise InputError(f"{photos} has no photo: see {photos / scraping.MANIFEST} for the reason of each.")
    quality.report([quality.listed_twice(listed)], doubtful)
    with replacing(output) as unfinished:
        found = crop_all(rows, processes_for(len(rows)), photos=photos, output=unfinished, **settings)
        results = list(tqdm(found, desc="crop", total=len(rows), unit="photo", disable=None))
        require_faces(results)
        quality.report([quality.mostly_rejected(results, min_accepted)], doubtful)
        write_rows(unfinished / scraping.MANIFEST, quality.CROP_COLUMNS, results)
    counts = Counter(result["status"] for result in results)
    write_json(metrics, {status: counts[status] for status in detection.STATUSES})


def with_places(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Number the rows of each label, failed ones too, from 0: their `place`.

    The split goes by place, and so a photo that fails does not move the others.
    """
    seen: Counter[str] = Counter()
    placed = []
    for row in rows:
        placed.append(row | {"place": seen[row["label"]]})
        seen[row["label"]] += 1
    return placed


def processes_for(photos: int) -> int:
    """Return how many processes find the faces of so many photos the soonest."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, photos // WORTH))


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


def require_faces(results: Sequence[dict[str, Any]]) -> None:
    """Check that a photo has a face.

    Raises:
        InputError: none has.
    """
    if all(result["status"] != "ok" for result in results):
        raise InputError(
            f"None of the {len(results)} photos has a usable face: lower --min-confidence or --min-size, "
            "or list photos that show one person from the front."
        )


if __name__ == "__main__":
    main()
