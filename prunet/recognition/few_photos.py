"""Recognition by a pretrained embedding from few photos, to compare a network trained from scratch with."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunet.data.faces.likeness import Vectors, centres
from prunet.deployment import thresholds
from prunet.recognition.enrolment import scores

PHOTOS = (1, 2, 5)  # of a person, beside all
DRAWS = 20  # of these photos


class Split(NamedTuple):
    """Embedded faces of one part of a study."""

    embeddings: Vectors  # (N, D)
    labels: NDArray[np.int64]  # (N,) indices into the people


def measure(train: Split, val: Split, test: Split, known: float, seed: int) -> pd.DataFrame:
    """Name faces by the nearest centre of a few training photos of each person; return the rates.

    Args:
        train: has a face of everybody.
        val: sets the threshold below which a face is unknown, as in the export of a ticket.
        test: measures.
        known: share of the correct answers on `val` whose likeness stays above the threshold.
        seed: of the draws of photos.

    Returns:
        A row for each of `PHOTOS` and for all training photos: `photos`, the mean number a person (who may
        have fewer); `draws`; `accuracy_mean` and `accuracy_std` of the test faces over the draws; and means
        over the draws: `auroc`, the area under the curve that separates test faces from strangers by their
        highest likeness (0.5: not at all); `true_accepts`, the share of test faces that get their right name
        at the threshold; `false_accepts`, the share of strangers that get any. Strangers are the test faces,
        each without its own person. Shares are of `test_images`.
    """
    rng, rows = np.random.default_rng(seed), []
    for most in (*PHOTOS, None):
        draws = [_draw(train.labels, most, rng) for _ in range(1 if most is None else DRAWS)]
        found = pd.DataFrame([_rates(part(train, drawn), val, test, known) for drawn in draws])
        accuracy = found.pop("accuracy")
        rows.append(
            {"photos": len(draws[0]) / (train.labels.max() + 1), "draws": len(draws)}
            | {"test_images": len(test.labels)}
            | {"accuracy_mean": accuracy.mean(), "accuracy_std": accuracy.std(), **found.mean()}
        )
    return pd.DataFrame(rows)


def _draw(labels: NDArray[np.int64], most: int | None, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw the numbers of at most `most` faces of each person; all with None."""
    own = [np.flatnonzero(labels == person) for person in range(labels.max() + 1)]
    return np.concatenate([faces if most is None else rng.permutation(faces)[:most] for faces in own])


def part(split: Split, faces: NDArray[np.int64]) -> Split:
    """Return the faces of these numbers."""
    return Split(split.embeddings[faces], split.labels[faces])


def _rates(enrolled: Split, val: Split, test: Split, known: float) -> dict[str, Any]:
    from sklearn.metrics import roc_auc_score

    names = [f"{label:09}" for label in enrolled.labels]  # whose order is that of the labels
    people = np.stack(list(centres(enrolled.embeddings, names).values()))
    threshold = thresholds.known_threshold(scores(val.embeddings, people), val.labels, known)
    found = scores(test.embeddings, people)
    best, right = found.max(1), found.argmax(1) == test.labels
    found[np.arange(len(found)), test.labels] = -1  # of the person that the face is of
    strangers = found.max(1)
    return {
        "accuracy": right.mean(),
        "auroc": roc_auc_score(np.repeat([1, 0], len(best)), np.concatenate([best, strangers])),
        "threshold": threshold,
        "true_accepts": (right & (best >= threshold)).mean(),
        "false_accepts": (strangers >= threshold).mean(),
    }
