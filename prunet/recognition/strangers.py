"""File of the faces of strangers: people who are in no study, so that no network has seen them."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.base.text import readable
from prunet.data.faces.likeness import Vectors

UNKNOWN = -1  # person of a face whose photo shows several, or lies in no folder of a person


class Strangers(NamedTuple):
    """Faces of strangers, in the form of the data set."""

    images: NDArray[np.uint8]  # (N, 1, S, S); N may be 0
    people: NDArray[np.int64]  # (N,) indices into `names`, or UNKNOWN
    names: list[str]  # of the people, in alphabetical order
    embeddings: Vectors | None  # (N, D) by the pretrained embedding, if the study uses it


def save(path: Path, found: Strangers) -> None:
    """Write the faces; equal input gives equal bytes."""
    arrays: tensors.Tensors = {"images": found.images, "people": found.people}
    if found.embeddings is not None:
        arrays["embeddings"] = found.embeddings
    tensors.write(path, arrays, {"names": found.names})


def load(path: Path) -> Strangers:
    """Read the faces.

    Raises:
        InputError: the file is missing or damaged.
    """
    found, metadata = tensors.read(path)
    try:
        return _checked(found, metadata)
    except ValueError as error:
        raise InputError(
            f"{path} does not hold faces of strangers ({error}); run the stage strangers again."
        ) from None


def _checked(found: tensors.Tensors, metadata: dict[str, Any]) -> Strangers:
    """Return the contents of a file.

    Raises:
        ValueError: a part is missing or invalid.
    """
    if not {"images", "people"} <= set(found) or not isinstance(metadata.get("names"), list):
        raise ValueError("a part is missing")
    images, people, names = found["images"], found["people"], metadata["names"]
    vectors = found.get("embeddings")
    if images.dtype != np.uint8 or images.ndim != 4 or people.dtype != np.int64:
        raise ValueError(f"its images are {images.dtype} of shape {images.shape}")
    if people.shape != images.shape[:1] or (vectors is not None and len(vectors) != len(people)):
        raise ValueError("its parts differ in length")
    if not np.isin(people, np.arange(UNKNOWN, len(names))).all():
        raise ValueError("its faces are of people without a name")
    return Strangers(images, people, names, vectors)


def new_people(found: Strangers) -> Strangers:
    """Return the faces whose person is known.

    Raises:
        InputError: they are not at least two people, one of them with two faces.
    """
    known = found.people != UNKNOWN
    counts = np.bincount(found.people[known], minlength=1)
    layout = "put photos with one face there, as NAME/photo.jpg"
    if not known.any():
        raise InputError(f"the folder export.strangers has no photos of people by name: {layout}.")
    if np.count_nonzero(counts) < 2:
        raise InputError(
            f"the folder export.strangers has photos of {readable(found.names[0])} alone, and two people are "
            f"compared: {layout}."
        )
    if counts.max() < 2:
        raise InputError(
            "nobody in the folder export.strangers has two photos with one face, and photos of one person "
            f"are compared: {layout}."
        )
    vectors = None if found.embeddings is None else found.embeddings[known]
    return Strangers(found.images[known], found.people[known], found.names, vectors)
