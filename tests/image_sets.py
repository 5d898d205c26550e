"""Runs of the stage images, and drawn image folders."""

import json

import numpy as np
from click.testing import CliRunner
from PIL import Image

from stages import images as stage

DATA = {
    **{"source": "", "val": 360, "test": 180, "side": 256, "memory": 4_000_000_000},
    **{"near_duplicate_distance": 4, "min_images": 10, "doubtful": "warn"},
}


def prepare(folder, name, **data):
    """Run the stage images for the set `name` in a folder, with the output `out` there.

    `data` changes parameters; names in capitals are environment variables.
    """
    environment = {key: str(data.pop(key)) for key in list(data) if key.isupper()}
    values = DATA | {"set": name, "downloads": str(folder / "downloads")} | data
    (folder / "params.json").write_text(json.dumps({"study": "toy", "seed": 0, "data": values}))
    runner = CliRunner(env={"PRUNET_DATA": None} | environment)
    return runner.invoke(stage.main, [str(folder / "params.json"), str(folder / "out")])


def draw(path, label, number, size=(24, 20)):
    """Draw a photo (width, height) whose colours depend on its class and number."""
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
