"""Toy photos, a fake face detector, and runs of the stages crop, resize and images."""

import csv
import json

import numpy as np
from click.testing import CliRunner
from PIL import Image

from prunet.data.faces.detection import Face
from prunet.data.images import dataset
from stages import crop, images, resize

LABELS = ("boris", "ada")  # not in alphabetical order
LIST_COLUMNS = ("row", "label", "url", "status", "image", "detail")
EXCLUDE_COLUMNS = ("label", "image", "reason")
CROP = {
    **{"min_confidence": 0.9, "min_size": 24, "keep": "largest", "margin": 0.25, "max_side": 800},
    **{"embedding": "none", "min_accepted": 0, "doubtful": "warn"},
}
DATA = {
    **{"set": "faces", "source": "", "val": 0.25, "test": 0.25, "side": 1, "memory": 0, "downloads": ""},
    **{"near_duplicate_distance": 6, "min_images": 1, "doubtful": "warn"},
}


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def texture(number, faces=1, size=(100, 80)):
    """Make a photo like no other; `fake_faces` finds `faces` faces on it."""
    coarse = np.random.default_rng(number).integers(20, 230, (6, 6, 3), np.uint8)
    photo = np.array(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    photo[0, 0] = faces
    return photo


def fake_faces(photo):
    """Find as many faces as the first pixel tells, each smaller and more certain than the one before."""
    landmarks = ((25.26, 20.0), (45.0, 20.0), (35.0, 30.0), (28.0, 40.0), (42.0, 40.0))
    return [
        Face((20.0, 10.0, 30.0 - number, 40.0 - number), 0.95 + number / 100, landmarks)
        for number in range(photo[0, 0, 0])
    ]


def many(number):
    """Make `number` photos of each label, in turn."""
    return [(LABELS[i % 2], texture(i)) for i in range(2 * number)]


def make_photos(folder, photos, failed=()):
    """Write photos [(label, pixels)] as ingest does; `failed` are the numbers of rows that failed."""
    rows = []
    for number, (label, photo) in enumerate(photos, start=1):
        row = dict.fromkeys(LIST_COLUMNS, "") | {"row": number, "label": label, "status": "timeout"}
        if number not in failed:
            row |= {"status": "ok", "image": f"{label}/{number:016x}.png"}
            (folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo).save(folder / row["image"])
        rows.append(row)
    write_table(folder / "manifest.csv", LIST_COLUMNS, rows)
    return folder


def exclude(folder, *lines):
    """Write the exclude list: (label, image, reason)."""
    rows = [dict(zip(EXCLUDE_COLUMNS, line, strict=True)) for line in lines]
    write_table(folder / "exclude.csv", EXCLUDE_COLUMNS, rows)


def invoke(stage, folder, **changes):
    """Run crop, resize or images on the outputs, below `folder`, of the stages before it."""
    if stage is crop:
        params, paths = CROP | changes, ("photos", "crops")
    elif stage is resize:
        params = {"size": 36, "near_duplicate_distance": 4}
        paths = ("exclude.csv", "photos", "crops", "gray", "sheets")
    else:
        data = DATA | {"source": str(folder / "gray")} | changes
        params, paths = {"study": "toy", "seed": 0, "data": data}, ("data.safetensors",)
    (folder / "params").write_text(json.dumps(params))
    arguments = [folder / name for name in ("params", *paths)]
    return CliRunner(env={"PRUNET_DATA": None}).invoke(stage.main, [str(path) for path in arguments])


def run(stage, folder, **changes):
    """Run a stage that succeeds; return its warnings."""
    result = invoke(stage, folder, **changes)
    assert result.exit_code == 0, result.output
    return result.stderr


def message(result):
    """Return the message of a command that refused its input."""
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    return result.stderr.removeprefix("Error: ").strip()


def refusal(stage, folder, **changes):
    """Run a stage that refuses its input; return its message."""
    return message(invoke(stage, folder, **changes))


def run_all(folder, photos, failed=()):
    """Run crop, resize and images on photos; return the side of each row of the list that has an image."""
    make_photos(folder / "photos", photos, failed)
    if not (folder / "exclude.csv").exists():
        exclude(folder)
    for stage in (crop, resize, images):
        run(stage, folder)
    rows = [row["row"] for row in read_table(folder / "gray" / "manifest.csv") if row["status"] == "ok"]
    split = dataset.load(folder / "data.safetensors")["split"]
    return dict(zip(rows, split.tolist(), strict=True))
