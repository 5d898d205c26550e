"""A recogniser: how faces are found, and the scores of every name for a face."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.deployment import compact, inference
from prunet.recognition.settings import face_settings


class Recogniser(NamedTuple):
    """Whatever names faces.

    Attributes:
        settings: how faces are found and made gray, from `face_settings`.
        names: of all people whom it knows.
        threshold: a face whose highest score is lower is unknown.
        rates: the shares of test images and strangers that get a name, from `exporting.calibrate`, or None.
        score: gives faces (N, 1, S, S) uint8 the scores (N, names), 0 to 1.
    """

    settings: dict[str, Any]
    names: list[str]
    threshold: float
    rates: dict[str, Any] | None
    score: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def load(ticket: Path) -> Recogniser:
    """Return the recogniser of a ticket's file; its scores are the probabilities of the classes.

    Raises:
        InputError: the file is missing or damaged, or its ticket was not trained on faces.
    """
    weights, _, metadata = compact.load(ticket)
    settings = face_settings(metadata, ticket)
    threshold, rates = settings.pop("threshold"), settings.pop("rates")
    score = partial(inference.classify, inference.build(weights, metadata), metadata=metadata)
    return Recogniser(settings, metadata["class_names"], threshold, rates, score)
