"""Count how often each crop.keep rule keeps the listed person's face: `python -m bench.kept_faces FOLDER`."""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
from PIL import Image

from prunet.base.files import read_rows, write_json, write_rows
from prunet.data.images.decoding import load_rgb
from prunet.data.listing import scraping

CROP = {"min_confidence": 0.9, "min_size": 24, "margin": 0.2, "max_side": 800, "min_accepted": 0}
RULES = ("only", "largest", "surest", "most-alike")
ENLARGED = 2


@click.command()
@click.option("--shared", default=0.4, type=click.FloatRange(0, 1), help="Share of photos with two people.")
@click.argument("folder", type=click.Path(path_type=Path))
def main(shared: float, folder: Path) -> None:
    """Put a random other person beside some faces of FOLDER (PERSON/photo.pgm, one face each), and crop.

    Prints for each rule how many photos with two people are kept, and how many of these with the right face.
    Both faces are equally large and in focus, so that largest and surest can only guess.
    """
    with TemporaryDirectory() as scratch:
        photos = Path(scratch) / "photos"
        right = montages(folder, photos, shared, np.random.default_rng(0))
        click.echo(
            f"{sum(side is not None for side in right.values())} of {len(right)} photos have two people"
        )
        for rule in RULES:
            kept, correct, alone = count(crop(Path(scratch), rule), right)
            click.echo(
                f"{rule:12}{kept:4} kept, {correct:4} right ({correct / max(kept, 1):.1%}); "
                f"{alone} photos with one person kept"
            )


def montages(folder: Path, output: Path, shared: float, rng: np.random.Generator) -> dict[str, int | None]:
    """Write the photos and their manifest; return each right face's side (0 left, 1 right, None alone)."""
    people = {
        person.name: [load_rgb(photo) for photo in sorted(person.iterdir())]
        for person in sorted(folder.iterdir())
        if person.is_dir()
    }
    right: dict[str, int | None] = {}
    rows: list[dict[str, Any]] = []
    for label, photos in people.items():
        others = [name for name in people if name != label]
        doubled = set(rng.permutation(len(photos))[: round(shared * len(photos))].tolist())
        for number, photo in enumerate(photos):
            image, side = f"{label}/{number:02}.png", None
            (output / label).mkdir(parents=True, exist_ok=True)
            if number in doubled:
                strangers = people[others[rng.integers(len(others))]]
                stranger, side = strangers[rng.integers(len(strangers))], int(rng.integers(2))
                photo = np.concatenate([photo, stranger] if side == 0 else [stranger, photo], axis=1)
            size = (photo.shape[1] * ENLARGED, photo.shape[0] * ENLARGED)
            Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC).save(output / image)
            rows.append({"row": len(rows) + 1, "label": label, "status": "ok", "image": image})
            right[image] = side
    write_rows(output / scraping.MANIFEST, scraping.COLUMNS, rows)
    return right


def crop(folder: Path, rule: str) -> list[dict[str, str]]:
    """Run the stage crop with a rule; return its manifest."""
    params: dict[str, Any] = CROP | {"keep": rule, "doubtful": "warn"}
    params["embedding"] = "sface" if rule == "most-alike" else "none"
    write_json(folder / "crop.json", params)
    paths = [str(folder / name) for name in ("crop.json", "photos", rule)]
    subprocess.run([sys.executable, "-m", "stages.crop", *paths], check=True)
    return read_rows(folder / rule / scraping.MANIFEST, ["status", "photo", "x", "width"])


def count(rows: list[dict[str, str]], right: dict[str, int | None]) -> tuple[int, int, int]:
    """Count the kept photos with two people, those of them with the right face, and the other kept photos."""
    kept = [row for row in rows if row["status"] == "ok"]
    shared = [row for row in kept if right[row["photo"]] is not None]
    middle = 92 * ENLARGED  # width of an ORL photo
    correct = sum(
        (float(row["x"]) + float(row["width"]) / 2 > middle) == bool(right[row["photo"]]) for row in shared
    )
    return len(shared), correct, len(kept) - len(shared)


if __name__ == "__main__":
    main()
