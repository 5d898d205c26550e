"""People enrolled by the embeddings of their faces, without training, and the threshold for strangers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.base.errors import InputError
from prunet.data.faces import likeness
from prunet.data.faces.likeness import Vectors
from prunet.deployment import acceptance, thresholds


class People(NamedTuple):
    """Enrolled faces."""

    names: list[str]  # in alphabetical order, each with a face
    embeddings: Vectors  # (N, D)
    owners: NDArray[np.int64]  # (N,) indices into `names`, ascending

    @property
    def labels(self) -> list[str]:
        """The name of each face."""
        return [self.names[owner] for owner in self.owners]

    @property
    def centres(self) -> NDArray[np.float64]:
        """The unit vector of each person's mean embedding, (names, D)."""
        return np.stack(list(likeness.centres(self.embeddings, self.labels).values()))


def enrol(labels: Sequence[str], embeddings: Vectors, earlier: People | None = None) -> tuple[People, int]:
    """Return the people of these faces and the earlier ones, and how many faces were there already.

    Adding in several steps gives the same people as adding all at once.

    Args:
        labels: the name of each face.
        embeddings: (N, D), N above 0.

    Raises:
        InputError: a face has two names.
    """
    if earlier is not None:
        labels, embeddings = (
            [*earlier.labels, *labels],
            np.concatenate([earlier.embeddings, embeddings]),
        )
    own: dict[bytes, str] = {}  # equal embeddings: the same photo
    for label, vector in zip(labels, embeddings, strict=True):
        if own.setdefault(vector.tobytes(), label) != label:
            raise InputError(
                f"a photo of {own[vector.tobytes()]} is also one of {label}; keep it in one folder alone."
            )
    found = sorted((label, vector) for vector, label in own.items())
    names = sorted(set(labels))
    owners = np.array([names.index(label) for label, _ in found], np.int64)
    vectors = np.stack([np.frombuffer(vector, np.float32) for _, vector in found])
    return People(names, vectors, owners), len(labels) - len(found)


def scores(embeddings: Vectors, centres: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the likeness of faces (N, D) to people: their cosine, (N, people), 0 where it is negative."""
    return np.clip(embeddings @ centres.T, 0, 1).astype(np.float32)


def calibrate(people: People, false_accepts: float) -> tuple[float, dict[str, Any]]:
    """Return the lowest threshold at which at most a share of strangers get a name, and the rates.

    A face stands for a known one as if its photo were not enrolled, and for a stranger as if its person were
    not. Each face is a case of its own, though the faces of a person are alike.

    Args:
        people: at least two, one of them with two faces.
        false_accepts: 0 to 1.

    Returns:
        The threshold and, as in a ticket's `rates`, the `table` of `acceptance.measure`, the number of faces
        that stood for `strangers`, and of those that stood for `known` ones.

    Raises:
        InputError: there are fewer people or faces than that.
    """
    if len(people.names) < 2:
        raise InputError(
            f"{people.names[0]} is the only person; enrol at least two, because each stands for a stranger "
            "to the others where the threshold is set."
        )
    doubts = likeness.doubts(people.embeddings, people.labels)
    known = ~np.isnan(doubts)
    if not known.any():
        raise InputError("nobody has two photos with one face; add photos, to measure who is recognised.")
    found, rows = scores(people.embeddings, people.centres), np.arange(len(people.owners))
    found[rows, people.owners] = -1
    strangers = found.max(1)
    found[rows, people.owners] = np.clip(1 - doubts, 0, 1)
    threshold = thresholds.stranger_threshold(strangers, false_accepts)
    table = acceptance.measure(threshold, found[known], people.owners[known], strangers)
    counts = {"strangers": len(strangers), "known": int(known.sum())}
    return threshold, {"measured": True, **counts, "table": table}


def sentence(rates: dict[str, Any], threshold: float) -> str:
    """Return a sentence on the shares of faces that get a name, from `calibrate`."""
    row = acceptance.nearest(rates, threshold)
    low, high = row["false_accepts_interval"]
    return (
        f"At threshold {row['threshold']:g}, {row['true_accepts']:.1%} of {rates['known']} known faces get "
        f"the right name, each without its own photo, and {row['false_accepts']:.1%} of "
        f"{rates['strangers']} strangers get a name (95% interval {low:.1%} to {high:.1%}), each a face "
        "whose person was left out."
    )
