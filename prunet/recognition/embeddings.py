"""The embedding that recognises faces without training on them: a pretrained one, or that of a ticket."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import click

from prunet.base.errors import InputError
from prunet.data.faces import detection, embedding
from prunet.deployment import compact, inference
from prunet.recognition import features
from prunet.recognition.naming import Prepare, gray_face
from prunet.recognition.settings import face_settings

TICKET = click.option(
    "--embedding",
    "ticket",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ticket of faces, such as exports/faces/ticket.safetensors: the numbers that its network's output "
    "layer reads embed a face.  [default: the pretrained SFace, of requirements-embedding.txt]",
)
FINDING = {"min_confidence": 0.9, "min_size": 24, "max_side": 800}  # as in params.yaml
# Of SFace on 398 of the 400 ORL photos (AT&T Laboratories Cambridge), those on which a face was found so.
PAIRS = {
    "threshold": 0.34,
    "false_accepts": 0.01,
    "pairs": 77221,
    "people": 40,
    "of": "those of the ORL faces",
}


class Embedding(NamedTuple):
    """Method that turns the face on a photo into a unit vector.

    Attributes:
        model: name of its network.
        weights: SHA-256 of the network's file.
        size: numbers in a vector.
        finding: how faces are found: `min_confidence`, `min_size`, `max_side`.
        pairs: from `verification.calibrate`, the threshold on the cosine of two photos; or None.
        start: loads the network; returns the function that embeds a face.
    """

    model: str
    weights: str
    size: int
    finding: dict[str, Any]
    pairs: dict[str, Any] | None
    start: Callable[[], Prepare]


def load(ticket: Path | None, network: str | None) -> Embedding:
    """Return the embedding of a ticket's network; without a ticket, the pretrained one.

    Args:
        ticket: its file.
        network: the ticket's model, if it is not built in and is trusted: its code runs.

    Raises:
        InputError: the ticket is missing or damaged, or was not trained on faces.
    """
    if ticket is None:
        given = embedding.MODEL, embedding.DIGEST, embedding.SIZE
        return Embedding(*given, FINDING, PAIRS, embedding.embedder)
    weights, _, metadata = compact.load(ticket, network)
    settings = face_settings(metadata, ticket)
    model = inference.build(weights, metadata)
    gray, embedder = gray_face(settings), features.embedder(model, metadata)

    def embed(photo: detection.Photo, face: detection.Face) -> Any:
        vector = embedder(gray(photo, face)[None])[0]
        if not vector.any():
            raise InputError(f"the network of {ticket} maps a face to zeros; choose a denser ticket.")
        return vector

    return Embedding(
        metadata["model"],
        hashlib.sha256(ticket.read_bytes()).hexdigest(),
        features.size(features.head(model, metadata)),
        {name: settings[name] for name in FINDING},
        settings["pairs"],
        lambda: embed,
    )
