"""A recogniser: how faces are found, and the scores of every name for a face."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.deployment import acceptance, compact, inference
from prunet.recognition import embeddings, enrolment, people_file
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


def load(path: Path, ticket: Path | None = None, network: str | None = None) -> Recogniser:
    """Return the recogniser of a file: of a ticket, or of enrolled people.

    Args:
        path: the file.
        ticket: whose network embeds the faces of enrolled people; None: the pretrained one does.
        network: the ticket's model, if it is not built in and is trusted: its code runs.

    Raises:
        InputError: a file is missing or damaged, a ticket was not trained on faces, the people were enrolled
            by another embedding, or the package of the pretrained one is missing.
    """
    if people_file.is_one(path):
        return _of_people(path, embeddings.load(ticket, network))
    if ticket is not None:
        raise InputError(f"{path} is not a file of enrolled people: leave out --embedding, or name one.")
    return _of_ticket(path, network)


def _of_ticket(path: Path, network: str | None) -> Recogniser:
    weights, _, metadata = compact.load(path, network)
    settings = face_settings(metadata, path)
    threshold, rates, _ = (settings.pop(name) for name in ("threshold", "rates", "pairs"))
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


def _of_people(path: Path, chosen: embeddings.Embedding) -> Recogniser:
    people, finding, threshold, rates = people_file.load(path, chosen)
    return Recogniser(
        finding,
        people.names,
        threshold,
        rates,
        partial(enrolment.sentence, rates),
        "likeness",
        chosen.start(),
        partial(enrolment.scores, centres=people.centres),
    )
