"""Stage embed: accuracy of a pretrained face embedding on a study's own split. Optional."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from prunet.base import tables
from prunet.base.errors import InputError
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.data.faces import embedding, likeness
from prunet.data.images.dataset import SPLITS, require_all_classes
from prunet.data.listing.manifests import CROP_COLUMNS, read_manifest
from prunet.data.sets.people import split_faces
from prunet.recognition import few_photos


@click.command()
@PARAMS
@paths("crops", "grays", "output")
def main(params: dict[str, Any], crops: Path, grays: Path, output: Path) -> None:
    """Measure how well the embeddings of the folder CROPS recognise the people of a study.

    PARAMS is a JSON file with the study's seed and part of its block `data`, and `export.known`. GRAYS is the
    folder of the stage resize; the faces are split as by the stage images. Writes OUTPUT, a CSV with a row
    for each number of training photos of a person.
    """
    faces = split_faces(grays, **params["data"], seed=params["seed"])
    vectors = embeddings(crops)
    missing = [row["crop"] for row in faces.rows if row["crop"] not in vectors]
    if missing:
        raise InputError(
            f"{grays} has the face {missing[0]}, and {crops} has not; run the stage resize again."
        )
    names = sorted({row["label"] for row in faces.rows})
    labels = np.array([names.index(row["label"]) for row in faces.rows], np.int64)
    require_all_classes(labels, faces.split, names, grays)
    every = few_photos.Split(np.stack([vectors[row["crop"]] for row in faces.rows]), labels)
    parts = [few_photos.part(every, np.flatnonzero(faces.split == side)) for side in range(len(SPLITS))]
    seed = derive(params["seed"], params["study"], "embed")
    tables.write(output, few_photos.measure(*parts, known=params["known"], seed=seed))


def embeddings(crops: Path) -> dict[str, np.ndarray]:
    """Return the embedding of each face by its crop."""
    images = [row["image"] for row in read_manifest(crops, CROP_COLUMNS) if row["status"] == "ok"]
    return dict(zip(images, likeness.load(crops, len(images), embedding.SIZE), strict=True))


if __name__ == "__main__":
    run_and_exit(main)
