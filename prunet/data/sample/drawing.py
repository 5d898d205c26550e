"""The whole sample: photos of imaginary people, and a list that looks as if it had been scraped."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from prunet.base.processes import cores
from prunet.base.progress import progress
from prunet.data.sample.people import Person, invent_people
from prunet.data.sample.photos import Photo, near_duplicate, photo_of_nobody, photo_of_one, photo_of_two

# Rows of the list besides the good photos. There are also three broken ones: a missing file, a text named
# .jpg, and half a JPEG.
NOBODY = 4  # photos without a face
TWO = 5  # photos of two people
REPEATED = 4  # good photos listed a second time
NEAR = 6  # smaller, worse copies of good photos

MISSING = "photos/0000000000000000.jpg"
PNG_SHARE = 0.08  # of the good photos; the others are JPEG

# Each purpose has its own stream of random numbers; 0 is that of `invent_people`.
GOOD_STREAM, NOBODY_STREAM, TWO_STREAM, REPEATED_STREAM = 1, 2, 3, 4
NEAR_STREAM, BROKEN_STREAM, ORDER_STREAM = 5, 6, 7


def draw_sample(seed: int, photos: int, folder: Path) -> list[dict[str, str]]:
    """Draw the sample into `folder / "photos"` and return its list.

    Args:
        seed: of the people, their photos, and the order of the list. The first good photos of each person do
            not depend on how many are drawn.
        photos: good photos of each person.
        folder: an existing folder that contains the empty folder `photos`.

    Returns:
        Rows with `label` (the person) and `url` (the file, relative to `folder`), in random order.
    """
    people = invent_people(seed)
    wanted = [(index, name, number) for index, name in enumerate(people) for number in range(photos)]

    def draw(index: int, name: str, number: int) -> dict[str, str]:
        rng = stream(seed, GOOD_STREAM, index, number)
        body, extension = encode(photo_of_one(people[name], rng), rng)
        return {"label": name, "url": save(folder, body, extension)}

    with ThreadPoolExecutor(cores()) as pool:  # OpenCV draws and encodes without holding Python's lock
        drawn = pool.map(draw, *zip(*wanted, strict=True))
        good = list(progress(drawn, desc="sample", total=len(wanted), unit="photo"))
    rows = [*good, *faceless_rows(seed, people, folder), *crowded_rows(seed, people, folder)]
    rows += [*repeated_rows(seed, good), *near_duplicate_rows(seed, good, folder)]
    rows += broken_rows(seed, people, folder)
    return [rows[index] for index in stream(seed, ORDER_STREAM).permutation(len(rows))]


def faceless_rows(seed: int, people: dict[str, Person], folder: Path) -> Iterator[dict[str, str]]:
    """Draw the photos without a face and yield their rows."""
    names = list(people)
    for number in range(NOBODY):
        rng = stream(seed, NOBODY_STREAM, 0, number)
        name = names[int(rng.integers(len(names)))]
        yield {"label": name, "url": save_jpeg(folder, photo_of_nobody(rng), 90)}


def crowded_rows(seed: int, people: dict[str, Person], folder: Path) -> Iterator[dict[str, str]]:
    """Draw the photos of two people and yield their rows."""
    names = list(people)
    for number in range(TWO):
        rng = stream(seed, TWO_STREAM, 0, number)
        name, other = (names[int(index)] for index in rng.choice(len(names), 2, replace=False))
        photo = photo_of_two(people[name], people[other], rng)
        yield {"label": name, "url": save_jpeg(folder, photo, 90)}


def repeated_rows(seed: int, good: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    """Yield some rows of good photos again."""
    for index in stream(seed, REPEATED_STREAM).choice(len(good), REPEATED, replace=False):
        yield dict(good[index])


def near_duplicate_rows(seed: int, good: list[dict[str, str]], folder: Path) -> Iterator[dict[str, str]]:
    """Save smaller, worse copies of some good photos and yield their rows."""
    rng = stream(seed, NEAR_STREAM)
    for index in rng.choice(len(good), NEAR, replace=False):
        original = np.asarray(cv2.imread(str(folder / good[index]["url"])), np.uint8)[..., ::-1]
        copy = near_duplicate(original, rng)
        yield good[index] | {"url": save_jpeg(folder, copy, int(rng.integers(45, 70)))}


def broken_rows(seed: int, people: dict[str, Person], folder: Path) -> list[dict[str, str]]:
    """Save files that cannot be decoded, and return their rows and that of a missing file."""
    rng = stream(seed, BROKEN_STREAM)
    name = list(people)[int(rng.integers(len(people)))]
    whole = to_jpeg(photo_of_one(people[name], rng), 90)
    text = save(folder, b"This is a text, not a photo.\n", ".jpg")
    half = save(folder, whole[: len(whole) // 2], ".jpg")
    return [{"label": name, "url": url} for url in (MISSING, text, half)]


def stream(seed: int, purpose: int, person: int = 0, number: int = 0) -> np.random.Generator:
    """Return the random numbers of one photo, independent of all other photos."""
    # Always four numbers, because [1] and [1, 0] are equal seeds.
    return np.random.default_rng([seed, purpose, person, number])


def encode(photo: Photo, rng: np.random.Generator) -> tuple[bytes, str]:
    """Encode a photo, (H, W, 3) uint8 RGB, as JPEG or PNG; return the bytes and the file extension."""
    if rng.random() < PNG_SHARE:
        return cv2.imencode(".png", photo[..., ::-1])[1].tobytes(), ".png"
    return to_jpeg(photo, int(rng.integers(80, 96))), ".jpg"


def to_jpeg(photo: Photo, quality: int) -> bytes:
    """Encode a photo, (H, W, 3) uint8 RGB, as JPEG of `quality` 0 to 100."""
    return cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def save_jpeg(folder: Path, photo: Photo, quality: int) -> str:
    """Write a photo as JPEG and return its url."""
    return save(folder, to_jpeg(photo, quality), ".jpg")


def save(folder: Path, body: bytes, extension: str) -> str:
    """Write a file and return its url, which contains a hash: a changed photo changes the list."""
    url = f"photos/{hashlib.sha256(body).hexdigest()[:16]}{extension}"
    (folder / url).write_bytes(body)
    return url
