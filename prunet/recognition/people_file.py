"""The file of enrolled people: embeddings of their faces, and how faces are found and named with them."""

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.base.text import readable
from prunet.deployment.metadata import Name
from prunet.recognition.embeddings import Embedding
from prunet.recognition.enrolment import People
from prunet.recognition.settings import Rates, Share

TENSORS = {"embeddings", "owners"}
BAD = "is damaged or not a file of enrolled people"


class _Block(BaseModel):
    model_config = ConfigDict(strict=True)


class _Finding(_Block):
    min_confidence: Share
    min_size: int = Field(ge=1)
    max_side: int = Field(ge=1)


class _Rates(Rates):
    known: int = Field(ge=1)


class _Metadata(_Block):
    version: Literal[1]
    model: str
    weights: str
    names: Annotated[list[Name], Field(min_length=2)]
    finding: _Finding
    threshold: Share
    rates: _Rates


class Enrolled(NamedTuple):
    """Contents of the file of enrolled people."""

    people: People
    finding: dict[str, Any]  # min_confidence, min_size, max_side: see `detection`
    threshold: float
    rates: dict[str, Any]  # from `enrolment.calibrate`


def save(path: Path, enrolled: Enrolled, chosen: Embedding) -> None:
    """Write people who were enrolled by an embedding; equal input gives equal bytes."""
    names, vectors, owners = enrolled.people
    metadata = {
        **{"version": 1, "model": chosen.model, "weights": chosen.weights, "names": names},
        **{"finding": enrolled.finding, "threshold": enrolled.threshold, "rates": enrolled.rates},
    }
    tensors.write(path, {"embeddings": vectors, "owners": owners}, metadata)


def is_one(path: Path) -> bool:
    """Return whether a file has the tensors of enrolled people, valid or not."""
    try:
        with safe_open(path, "numpy") as file:
            return set(file.keys()) == TENSORS
    except (OSError, SafetensorError):
        return False


def load(path: Path, chosen: Embedding) -> Enrolled:
    """Read people who were enrolled by an embedding.

    Raises:
        InputError: the file is missing or damaged, or was made with another embedding.
    """
    found, text = tensors.read(path)
    try:
        metadata = _Metadata.model_validate(text)
        if metadata.weights != chosen.weights:
            raise InputError(
                f"{path} was made with another embedding, of {readable(metadata.model)}: name its ticket with"
                " --embedding (none for sface), or enrol its people again."
            )
        people = _people(metadata.names, found, chosen.size)
    except ValidationError as error:
        first = error.errors()[0]
        problem = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise InputError(f"{path} {BAD} ({problem}); enrol its people again.") from None
    except ValueError as error:
        raise InputError(f"{path} {BAD} ({error}); enrol its people again.") from None
    return Enrolled(people, metadata.finding.model_dump(), metadata.threshold, metadata.rates.model_dump())


def _people(names: list[str], found: tensors.Tensors, size: int) -> People:
    """Check the tensors of a file, with embeddings of so many numbers.

    Raises:
        ValueError: they are not those of these names.
    """
    if set(found) != TENSORS:
        raise ValueError("it holds other tensors")
    vectors, owners = found["embeddings"], found["owners"]
    if vectors.dtype != np.float32 or owners.dtype != np.int64 or vectors.shape[1:] != (size,):
        raise ValueError("its tensors have other shapes or types")
    if names != sorted(set(names)) or owners.shape != vectors.shape[:1]:
        raise ValueError("its names or faces are not in order")
    if not np.array_equal(np.unique(owners), np.arange(len(names))) or (np.diff(owners) < 0).any():
        raise ValueError("its faces belong to other people")
    if not np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3):
        raise ValueError("its embeddings are not of unit length")
    return People(names, vectors, owners)
