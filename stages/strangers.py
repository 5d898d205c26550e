"""Stage strangers: gray faces of people who are in no study, for the share of them that gets a name."""

from pathlib import Path
from typing import Any

import click
import numpy as np

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.base.options import PARAMS, paths
from prunet.base.progress import progress
from prunet.data.faces import detection
from prunet.data.images.decoding import Rejection
from prunet.recognition import naming, pictures


@click.command()
@PARAMS
@paths("photos", "output")
def main(params: dict[str, Any], photos: Path, output: Path) -> None:
    """Write the faces on the photos of the folder PHOTOS, at any depth, to the file OUTPUT.

    PARAMS is a JSON file with the blocks `crop` and `resize` of params.yaml and `export.false_accepts`. Faces
    are found and made gray as those of the data set; all usable faces of a photo count. OUTPUT has the tensor
    `images`, (N, 1, S, S) uint8; N is 0 if the folder has no photos, so that nothing is measured.
    """
    settings = params["finding"]["crop"] | params["finding"]["resize"]
    sources = pictures.gather([photos]) if any(photos.iterdir()) else []
    images, read, unread = extract(sources, settings)
    for name, reason in unread.items():
        click.echo(f"warning: {name}: {reason.status}: {reason.detail}", err=True)
    if read and not images:
        raise InputError(f"none of the {read} photos in {photos} has a usable face; replace them.")
    if not images and params["false_accepts"] is not None:
        raise InputError(
            f"export.false_accepts is {params['false_accepts']:g}, but {photos} has no photos: add "
            "some, name another folder in export.strangers, or set export.false_accepts to null."
        )
    click.echo(f"{len(images)} faces of strangers on {read} photos in {photos}.", err=True)
    size = settings["size"]
    tensors.write(
        output, {"images": np.stack(images) if images else np.empty((0, 1, size, size), np.uint8)}, {}
    )


def extract(
    sources: list[pictures.Source], settings: dict[str, Any]
) -> tuple[list[np.ndarray], int, dict[Path, Rejection]]:
    """Return the faces (1, S, S) on all photos, the number of photos, and why others could not be read."""
    find: detection.Find | None = None
    prepare = naming.gray_face(settings)
    images, read, unread = [], 0, {}
    for source in progress(sources, desc="strangers", unit="photo"):
        try:
            photo = pictures.load(source.path)
        except Rejection as reason:
            if reason.status != "not-an-image":
                unread[source.path] = reason
            continue
        find = find or detection.detector()  # imports TensorFlow, which takes seconds
        images += naming.extract(photo, find, settings, "all", prepare).inputs
        read += 1
    return images, read, unread


if __name__ == "__main__":
    main()
