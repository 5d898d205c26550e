"""Likeness of face embeddings: centres of people, doubt about a face, choice of the face that is most alike.

Embeddings are unit vectors. The distance of two is 1 minus their cosine: 0 (the same) to 2.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from prunet.base.errors import InputError
from prunet.base.files import reading

Vectors = NDArray[np.float32]  # (N, D), unit length

FILE = "embeddings.safetensors"


def unit(vectors: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scale vectors (..., D) to unit length; a zero vector stays zero."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1), np.float64)


def centres(vectors: Vectors, labels: Sequence[str]) -> dict[str, NDArray[np.float64]]:
    """Return the unit vector of each label's mean embedding, (D,), labels in alphabetical order."""
    names = np.array(labels)
    return {str(name): unit(vectors[names == name].mean(0)) for name in sorted(set(labels))}


def doubts(vectors: Vectors, labels: Sequence[str]) -> NDArray[np.float64]:
    """Return each face's distance from the centre of its label's other faces, (N,); NaN if there are none."""
    names, found = np.array(labels), np.full(len(labels), np.nan)
    for name in set(labels):
        own = vectors[names == name].astype(np.float64)
        if len(own) > 1:
            others = unit(own.sum(0) - own)
            found[names == name] = np.clip(1 - (unit(own) * others).sum(1), 0, 2)
    return found


def most_alike(candidates: Vectors, centre: NDArray[np.float64]) -> int:
    """Return the index of the candidate nearest to a centre (D,); the first of equal ones."""
    return int((candidates @ centre).argmax())


def save(folder: Path, vectors: Vectors) -> None:
    """Write embeddings (N, D) to `folder / FILE`: one of each face of its manifest, in that order."""
    save_file({"embeddings": np.ascontiguousarray(vectors, np.float32)}, folder / FILE)


def load(folder: Path, faces: int, size: int) -> Vectors:
    """Read the embeddings of a folder with so many faces, (faces, size).

    Raises:
        InputError: the file is missing, damaged or of another number of faces.
    """
    path = folder / FILE
    try:
        with reading(path):
            vectors = load_file(path)["embeddings"]
    except (SafetensorError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); run the stage crop again.") from None
    if vectors.shape != (faces, size):
        raise InputError(
            f"{path} has embeddings {vectors.shape}, not ({faces}, {size}), one for each face of the "
            "manifest; run the stage crop again."
        )
    return np.asarray(vectors, np.float32)
