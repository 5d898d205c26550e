"""Params files and drawn image folders for the tests of image sets."""

from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner
from PIL import Image

from stages import images as stage

PARAMS = yaml.safe_load((Path(__file__).parent.parent / "params.yaml").read_text())


def prepare(place, dataset, **images):
    """Run the stage `images` for a study `toy` of a data set in the folder `place`, to the file `out` there.

    `images` are values of the block; those in capitals are environment variables.
    """
    environment = {name: str(images.pop(name)) for name in list(images) if name.isupper()}
    values = PARAMS | {"studies": {"toy": PARAMS["studies"]["digits"] | {"dataset": dataset}}}
    values |= {"image_studies": ["toy"], "stability": PARAMS["stability"] | {"studies": []}}
    values["images"] = PARAMS["images"] | {"downloads": str(place / "downloads")} | images
    (place / "params.yaml").write_text(yaml.safe_dump(values))
    options = "--params", str(place / "params.yaml"), "--study", "toy"
    runner = CliRunner(env={"PRUNET_DATA": None} | environment)
    return runner.invoke(stage.main, [*options, str(place / "out")])


def draw(path, label, number, size=(24, 20)):
    """Draw a photo (width, height) whose colours tell its class and which one it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([label, number])
    pixels = rng.integers(0, 60, (*size[::-1], 3)) + np.array([90 * label, 180 - 90 * label, 3 * number])
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


def tree(folder, parts=("",), classes=("ants", "bees", "cows"), count=10):
    """Draw an image folder: `count` photos of each class in each part, numbered from 0, 20 and 40."""
    for first, part in enumerate(parts):
        for label, name in enumerate(classes):
            for number in range(count):
                draw(folder / part / name / f"{number:02}.png", label, 20 * first + number)
    return folder
