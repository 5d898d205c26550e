"""Face detection and cropping: the stage `crop` against a plain loop over the same drawn photos."""

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from bench import machine
from bench.machine import Found
from prunet.base.processes import cores
from prunet.data.faces import cropping
from prunet.data.images.decoding import load_rgb
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_one

SETTINGS: dict[str, Any] = {
    "margin": 0.2,
    "max_side": 800,
    "min_confidence": 0.9,
    "min_size": 24,
    "keep": "largest",
}


class Sizes(NamedTuple):
    """Size of the measurement."""

    photos: int = 120
    warm_up: int = 20  # photos that do not count
    repeats: int = 3


QUICK = Sizes(photos=12, warm_up=4, repeats=2)


def measure(quick: bool, threads: int) -> tuple[dict[str, float], Found]:
    """Measure photos per second of the stage `crop` on one core and on all, and of the plain loop.

    The plain loop is `MTCNN().detect_faces` with the package's defaults and TensorFlow's choice of threads.
    Unlike the stage, it does not read, hash or write photos.
    """
    sizes = QUICK if quick else Sizes()
    processes = cores()
    with TemporaryDirectory() as folder:
        photos = Path(folder)
        rows = draw(photos, sizes.photos)
        found = machine.alternate(
            {
                "crop_photos_per_s": lambda: ours(rows, photos, processes, sizes.warm_up),
                "crop_one_core_photos_per_s": lambda: ours(rows, photos, 1, sizes.warm_up),
                "plain_crop_photos_per_s": lambda: machine.apart(
                    partial(plain, [photos / row["image"] for row in rows], sizes.warm_up), threads
                ),
            },
            sizes.repeats,
        )
    values = machine.medians(found)
    plain_loop = values["plain_crop_photos_per_s"]
    return values | {"crop_speedup_over_plain_loop": values["crop_photos_per_s"] / plain_loop}, found


def draw(folder: Path, count: int) -> list[dict[str, Any]]:
    """Draw photos of imaginary people; return the rows of their manifest."""
    people = list(invent_people(0).items())
    rows = []
    for number in range(count):
        label, person = people[number % len(people)]
        image = f"{label}/{number}.png"
        (folder / label).mkdir(exist_ok=True)
        photo = photo_of_one(person, np.random.default_rng(number))
        Image.fromarray(photo).save(folder / image, compress_level=1)
        rows.append({"row": str(number), "place": number, "label": label, "image": image})
    return rows


def ours(rows: Sequence[dict[str, Any]], photos: Path, processes: int, warm_up: int) -> float:
    """Return photos per second of the stage's code, without the start of its processes."""
    with TemporaryDirectory() as output:
        settings = SETTINGS | {"photos": photos, "output": Path(output)}
        return float(machine.apart(partial(_ours, rows, processes, settings, warm_up), 1))


def _ours(rows: Sequence[dict[str, Any]], processes: int, settings: dict[str, Any], warm_up: int) -> float:
    done = [time.perf_counter() for _ in cropping.crop_all(rows, processes, **settings)]
    return 1000 / machine.step_ms(done, warm_up)


def plain(paths: Sequence[Path], warm_up: int) -> float:
    """Return photos per second of the plain loop."""
    photos = [load_rgb(path) for path in paths]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    from mtcnn import MTCNN

    find = MTCNN().detect_faces
    done = []
    for photo in photos:
        find(photo)
        done.append(time.perf_counter())
    return 1000 / machine.step_ms(done, warm_up)
