"""Stage `gallery`: what became of the photos, as pictures."""

from collections import defaultdict
from pathlib import Path

import click

from prunet.analysis import canvas, figures
from prunet.base import files
from prunet.data.decoding import load_rgb

PEOPLE, PHOTOS, IMAGES = 10, 3, 8  # rows of the people's sheet, rows of the strip, images of a person


@click.command()
@click.argument("crops", type=click.Path(path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path))
@click.argument("grays", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(crops: Path, photos: Path, grays: Path, output: Path) -> None:
    """Draw how PHOTOS became CROPS and GRAYS (the folders of the stages ingest, crop and resize).

    OUTPUT gets strip.png (photo, face, gray image of three people) and people.png (gray images of up to ten
    people).
    """
    photo_of = {
        row["image"]: row["photo"] for row in files.read_rows(crops / "manifest.csv", ["image", "photo"])
    }
    people: dict[str, list[str]] = defaultdict(list)
    for row in files.read_rows(grays / "manifest.csv", ["label", "image", "status"]):
        if row["status"] == "ok":
            people[row["label"]].append(row["image"])
    if not people:
        raise files.InputError(f"{grays} holds no image: see its manifest.csv.")
    shown = sorted(people)[:PEOPLE]
    firsts = [people[label][0] for label in shown[:PHOTOS]]
    rows = [
        [load_rgb(photos / photo_of[name]), load_rgb(crops / name), load_rgb(grays / name)] for name in firsts
    ]
    sheet = [[load_rgb(grays / name) for name in people[label][:IMAGES]] for label in shown]
    with files.replacing(output) as partial:
        partial.mkdir()
        canvas.save(
            figures.strip(rows, ["photo", "face, with margin", "gray, 144x144"], "from photo to input"),
            partial / "strip.png",
        )
        canvas.save(figures.strip(sheet, [], "images of " + ", ".join(shown)), partial / "people.png")


if __name__ == "__main__":
    main()
