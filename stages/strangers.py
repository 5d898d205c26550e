"""Stage strangers: gray faces of people who are in no study, to measure networks on people they never saw."""

from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.progress import progress
from prunet.data.faces import detection, embedding
from prunet.data.images.decoding import Rejection
from prunet.recognition import naming, pictures
from prunet.recognition.strangers import UNKNOWN, Strangers, save


class Stranger(NamedTuple):
    """One face."""

    image: NDArray[np.uint8]  # (1, S, S)
    vector: NDArray[np.float32] | None  # (D,), by the pretrained embedding
    person: str | None


@click.command()
@PARAMS
@paths("photos", "output")
def main(params: dict[str, Any], photos: Path, output: Path) -> None:
    """Write the faces on the photos of the folder PHOTOS, at any depth, to the file OUTPUT.

    PARAMS is a JSON file with the blocks `crop` and `resize` of params.yaml and `export.false_accepts`. Faces
    are found and made gray as those of the data set; all usable faces of a photo count. A photo with one
    usable face is of the person whose name the first folder below PHOTOS has. With the pretrained embedding,
    OUTPUT has the embedding of each face. Without photos it has no faces, so that nothing is measured.
    """
    settings = params["finding"]["crop"] | params["finding"]["resize"]
    sources = pictures.gather([photos]) if any(photos.iterdir()) else []
    faces, read, unread = extract(sources, settings)
    for name, reason in unread.items():
        click.echo(f"warning: {name}: {reason.status}: {reason.detail}", err=True)
    if read and not faces:
        raise InputError(f"none of the {read} photos in {photos} has a usable face; replace them.")
    if not faces and params["false_accepts"] is not None:
        raise InputError(
            f"export.false_accepts is {params['false_accepts']:g}, but {photos} has no photos: add "
            "some, name another folder in export.strangers, or set export.false_accepts to null."
        )
    found = stack(faces, settings["size"])
    click.echo(
        f"{len(faces)} faces of strangers on {read} photos in {photos}, {len(found.names)} people by name.",
        err=True,
    )
    save(output, found)


def extract(
    sources: list[pictures.Source], settings: dict[str, Any]
) -> tuple[list[Stranger], int, dict[Path, Rejection]]:
    """Return the faces on all photos, the number of photos, and why others could not be read."""
    find: detection.Find | None = None
    gray, embed = naming.gray_face(settings), None
    faces, read, unread = list[Stranger](), 0, {}
    for source in progress(sources, desc="strangers", unit="photo"):
        try:
            photo = pictures.load(source.path)
        except Rejection as reason:
            if reason.status != "not-an-image":
                unread[source.path] = reason
            continue
        if find is None:
            find = detection.detector()  # imports TensorFlow, which takes seconds
            embed = embedding.embedder() if settings["embedding"] == "sface" else None
        images = naming.extract(photo, find, settings, "all", gray)
        person = source.name.split("/")[0] if len(images.inputs) == 1 and "/" in source.name else None
        vectors = [embed and embed(photo, face) for face in images.faces]
        faces += [Stranger(*face, person) for face in zip(images.inputs, vectors, strict=True)]
        read += 1
    return faces, read, unread


def stack(faces: list[Stranger], size: int) -> Strangers:
    """Return the faces as arrays; `size` is their pixels a side."""
    names = sorted({face.person for face in faces if face.person is not None})
    people = [UNKNOWN if face.person is None else names.index(face.person) for face in faces]
    vectors = [face.vector for face in faces if face.vector is not None]
    images = np.stack([face.image for face in faces]) if faces else np.empty((0, 1, size, size), np.uint8)
    return Strangers(images, np.array(people, np.int64), names, np.stack(vectors) if vectors else None)


if __name__ == "__main__":
    run_and_exit(main)
