"""Stage gallery: figures of how photos became training images."""

from collections import defaultdict
from pathlib import Path

import click

from prunet.base.errors import InputError
from prunet.base.files import read_rows, replacing
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.data.faces.strip import save_strip
from prunet.data.images.decoding import load_rgb

PEOPLE, PHOTOS, IMAGES = 10, 3, 8  # people in people.png, people in strip.png, images of each person


@click.command()
@paths("crops", "photos", "grays", "output")
def main(crops: Path, photos: Path, grays: Path, output: Path) -> None:
    """Draw photos, their crops and their gray images: the folders PHOTOS, CROPS and GRAYS.

    OUTPUT gets strip.png (photo, crop and gray image of three people) and people.png (gray images of up to
    ten people). Both show faces: they are an output in DVC's cache, which git ignores.
    """
    photo_of = {row["image"]: row["photo"] for row in read_rows(crops / "manifest.csv", ["image", "photo"])}
    people: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read_rows(grays / "manifest.csv", ["label", "image", "crop", "status"]):
        if row["status"] == "ok":
            people[row["label"]].append(row)
    if not people:
        raise InputError(f"{grays} holds no image; {grays / 'manifest.csv'} gives the reason for each face.")
    shown = sorted(people)[:PEOPLE]
    steps = {}
    for label in shown[:PHOTOS]:
        image, crop = people[label][0]["image"], people[label][0]["crop"]
        steps[label] = [load_rgb(photos / photo_of[crop]), load_rgb(crops / crop), load_rgb(grays / image)]
    images = {label: [load_rgb(grays / row["image"]) for row in people[label][:IMAGES]] for label in shown}
    height, width = images[shown[0]][0].shape[:2]
    headings = ["photo", "face, with margin", f"gray, {width}x{height}"]
    title = f"{len(people)} people" if len(people) == len(shown) else f"{len(shown)} of {len(people)} people"
    with replacing(output) as partial:
        partial.mkdir()
        save_strip(partial / "strip.png", steps, len(headings), headings, "from photo to input")
        save_strip(partial / "people.png", images, IMAGES, [], title)


if __name__ == "__main__":
    run_and_exit(main)
