"""A recogniser: how faces are found, and the scores of every name for a face."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces import embedding
from prunet.deployment import acceptance, compact, inference
from prunet.recognition import enrolment, people_file
from prunet.recognition.naming import Prepare, gray_face
from prunet.recognition.settings import face_settings


class Recogniser(NamedTuple):
    """Whatever names faces.

    Attributes:
        settings: how faces are found: `min_confidence`, `min_size`, `max_side`.
        names: of all people whom it knows.
        threshold: a face whose highest score is lower is unknown.
        rates: the shares of known faces and strangers that get a name by threshold, or None.
        describe: gives a threshold a sentence on these rates.
        measure: `probability`, or `likeness`: the cosine of embeddings, which is none.
        prepare: gives a face the form that `score` takes.
        score: gives prepared faces (N, ...) the scores (N, names), 0 to 1.
    """

    settings: dict[str, Any]
    names: list[str]
    threshold: float
    rates: dict[str, Any] | None
    describe: Callable[[float], str]
    measure: str
    prepare: Prepare
    score: Callable[[NDArray[Any]], NDArray[np.float32]]


def load(path: Path, network: str | None = None) -> Recogniser:
    """Return the recogniser of a file: of a ticket, or of enrolled people.

    Args:
        path: the file.
        network: the ticket's model, if it is not built in and is trusted: its code runs.

    Raises:
        InputError: the file is missing or damaged, its ticket was not trained on faces, or the package of
            embeddings is missing.
    """
    return _of_people(path) if people_file.is_one(path) else _of_ticket(path, network)


def _of_ticket(path: Path, network: str | None) -> Recogniser:
    weights, _, metadata = compact.load(path, network)
    settings = face_settings(metadata, path)
    threshold, rates = settings.pop("threshold"), settings.pop("rates")
    return Recogniser(
        settings,
        metadata["class_names"],
        threshold,
        rates,
        partial(acceptance.sentence, rates, strangers="strangers"),
        "probability",
        gray_face(settings),
        partial(inference.classify, inference.build(weights, metadata), metadata=metadata),
    )


def _of_people(path: Path) -> Recogniser:
    people, finding, threshold, rates = people_file.load(path)
    return Recogniser(
        finding,
        people.names,
        threshold,
        rates,
        partial(enrolment.sentence, rates),
        "likeness",
        embedding.embedder(),
        partial(enrolment.scores, centres=people.centres),
    )
