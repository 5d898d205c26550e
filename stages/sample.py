"""Stage `sample`: photos of imaginary people, and the scraping list that names them."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import click
import cv2
import numpy as np
from tqdm import tqdm

from prunet.base.files import replacing, write_rows
from prunet.data.sample.people import Person, invent_people
from prunet.data.sample.photos import Photo, near_duplicate, photo_of_nobody, photo_of_one, photo_of_two

# What a list gathered on the web holds besides good photos: rows in the whole list. Then there are three
# broken ones: a file that is not there, a text named .jpg, half a JPEG.
NOBODY = 4  # photos without a face
TWO = 5  # photos of two people
REPEATED = 4  # good photos that are listed a second time
NEAR = 6  # good photos that are listed again as a smaller, worse copy

MISSING = "photos/0000000000000000.jpg"
PNG_SHARE = 0.08  # of the good photos; the others are JPEG

# One stream of random numbers for each purpose; 0 is the people's own. All have four words: [1] and [1, 0]
# would be the same seed.
GOOD_STREAM, NOBODY_STREAM, TWO_STREAM, REPEATED_STREAM, NEAR_STREAM, BROKEN_STREAM, ORDER_STREAM = range(
    1, 8
)


@click.command()
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    required=True,
    help="Seed of the people, their photos and the rows' order.",
)
@click.option(
    "--photos",
    type=click.IntRange(min=1),
    required=True,
    help="Good photos of each of the seven people, in photos.",
)
@click.argument("output", type=click.Path(file_okay=False, path_type=Path))
def main(seed: int, photos: int, output: Path) -> None:
    """Draw photos of seven imaginary people into the folder OUTPUT/photos and list them in OUTPUT/list.csv.

    The list has the columns label (who it is) and url (the file, relative to the list), in random order.
    Like a list gathered on the web it has more rows than good photos: some show nobody, some two people,
    some come twice or again as a worse copy, and three files are missing or broken. Asking for more photos
    leaves the good ones that were there as they are. What was in OUTPUT is replaced.
    """
    with replacing(output) as partial:
        (partial / "photos").mkdir(parents=True)
        write_rows(partial / "list.csv", ("label", "url"), draw_sample(seed, photos, partial))


def draw_sample(seed: int, photos: int, folder: Path) -> list[dict[str, str]]:
    """Draw the whole sample into `folder / "photos"`; return the shuffled rows of its list."""
    people = invent_people(seed)
    wanted = [(index, name, number) for index, name in enumerate(people) for number in range(photos)]
    good = []
    for index, name, number in tqdm(wanted, desc="sample", unit="photo", disable=None):
        rng = stream(seed, GOOD_STREAM, index, number)
        body, ending = encode(photo_of_one(people[name], rng), rng)
        good.append({"label": name, "url": save(folder, body, ending)})
    rows = [*good, *strange_rows(seed, people, folder), *doubled_rows(seed, good, folder)]
    rows += broken_rows(seed, people, folder)
    return [rows[index] for index in stream(seed, ORDER_STREAM).permutation(len(rows))]


def strange_rows(seed: int, people: dict[str, Person], folder: Path) -> Iterator[dict[str, str]]:
    """Draw the photos that show nobody, then those that show two people; yield their rows."""
    names = list(people)
    for number in range(NOBODY):
        rng = stream(seed, NOBODY_STREAM, 0, number)
        name = names[int(rng.integers(len(names)))]
        yield {"label": name, "url": save(folder, to_jpeg(photo_of_nobody(rng), 90), ".jpg")}
    for number in range(TWO):
        rng = stream(seed, TWO_STREAM, 0, number)
        name, other = (names[int(index)] for index in rng.choice(len(names), 2, replace=False))
        photo = photo_of_two(people[name], people[other], rng)
        yield {"label": name, "url": save(folder, to_jpeg(photo, 90), ".jpg")}


def doubled_rows(seed: int, good: list[dict[str, str]], folder: Path) -> Iterator[dict[str, str]]:
    """Yield rows of good photos again: first the same files, then smaller and worse copies."""
    for index in stream(seed, REPEATED_STREAM).choice(len(good), REPEATED, replace=False):
        yield dict(good[index])
    rng = stream(seed, NEAR_STREAM)
    for index in rng.choice(len(good), NEAR, replace=False):
        original = cv2.imread(str(folder / good[index]["url"]))[..., ::-1]
        copy = near_duplicate(original, rng)
        quality = int(rng.integers(45, 70))
        yield {"label": good[index]["label"], "url": save(folder, to_jpeg(copy, quality), ".jpg")}


def broken_rows(seed: int, people: dict[str, Person], folder: Path) -> list[dict[str, str]]:
    """Write what no program can read as a photo, and return its rows."""
    rng = stream(seed, BROKEN_STREAM)
    name = list(people)[int(rng.integers(len(people)))]
    whole = to_jpeg(photo_of_one(people[name], rng), 90)
    text = save(folder, b"This is a text, not a photo.\n", ".jpg")
    half = save(folder, whole[: len(whole) // 2], ".jpg")
    return [{"label": name, "url": url} for url in (MISSING, text, half)]


def stream(seed: int, purpose: int, person: int = 0, number: int = 0) -> np.random.Generator:
    """Return the random numbers of one photo, which do not depend on what else is drawn."""
    return np.random.default_rng([seed, purpose, person, number])


def encode(photo: Photo, rng: np.random.Generator) -> tuple[bytes, str]:
    """Return a photo, (H, W, 3) uint8 RGB, as bytes of a JPEG or a PNG file, and the ending of its name."""
    if rng.random() < PNG_SHARE:
        return cv2.imencode(".png", photo[..., ::-1])[1].tobytes(), ".png"
    return to_jpeg(photo, int(rng.integers(80, 96))), ".jpg"


def to_jpeg(photo: Photo, quality: int) -> bytes:
    """Return a photo, (H, W, 3) uint8 RGB, as bytes of a JPEG file of `quality` 0 to 100."""
    return cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def save(folder: Path, body: bytes, ending: str) -> str:
    """Write a file named by its content (a changed photo changes the list); return its path in `folder`."""
    url = f"photos/{hashlib.sha256(body).hexdigest()[:16]}{ending}"
    (folder / url).write_bytes(body)
    return url


if __name__ == "__main__":
    main()
