"""Doubts about faces: why a person should look at one, in plain words, and an order, most doubtful first.

A doubt is an outlier among all faces by the robust z-score: the distance from the median, in units of 1.4826
median absolute deviations, which are one standard deviation of a normal distribution (Iglewicz and Hoaglin,
"How to Detect and Handle Outliers", 1993).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces import likeness, traits
from prunet.data.hashing import near_pairs

OUTLIER = 3.0  # lowest z-score of a doubt
STRONGEST = 10.0  # a doubt counts for at most this
COPY, SEVERAL = 10.0, 5.0  # in place of z-scores: a photo's copy under another name, several faces on a photo


class Measure(NamedTuple):
    """Rule that turns a measured trait into a doubt."""

    high: str  # the reason if a value is unusually high; empty: then there is no doubt
    low: str  # the reason if a value is unusually low
    spread: float  # one z-score is at least this: in a uniform set, small differences are not doubts
    logarithmic: bool = False


MEASURES = {
    "likeness": Measure("looks like {other}", "", 0.02),  # of a person's margin over the own one
    "distance": Measure("unlike the others", "", 0.05),  # of an embedding, from the own person's
    "sharpness": Measure("", "blurred", 0.3, logarithmic=True),
    "brightness": Measure("very bright", "dark", 10),
    "area": Measure("unusually large on its photo", "unusually small on its photo", 0.3, logarithmic=True),
    "confidence": Measure("", "perhaps no face", 0.01),
}
TABLE = "doubts.csv"  # beside the contact sheets
COLUMNS = ("row", "label", "image", "score", "reasons", "similar", *MEASURES, "usable")


def find(
    rows: Sequence[Mapping[str, str]],
    people: Sequence[str],
    kept: Sequence[bool],
    crops: Path,
    photos: Path,
    embeddings: NDArray[np.float32] | None,
    distance: int,
) -> list[dict[str, Any]]:
    """Return the table of doubts (`COLUMNS`), with a row for each face, in the order of `rows`.

    The score is the sum of the z-scores of a face's reasons, each at most `STRONGEST`; 0 means no doubt.

    Args:
        rows: of the crops' manifest.
        people: whose face each one is: its label, or the person to whom it was moved.
        kept: whether each face is used; one that is left out says nothing about others.
        crops, photos: folders.
        embeddings: (N, D); without them, small gray images are compared.
        distance: copies are photos whose perceptual hashes differ in at most so many of 64 bits.

    Raises:
        InputError: a crop or a photo is missing or damaged.
    """
    values, thumbnails = traits.of_pictures(rows, crops, photos)
    margin, similar = traits.likeness(thumbnails if embeddings is None else embeddings, people, kept)
    values["likeness"] = margin
    values["distance"] = np.full(len(rows), np.nan)
    if embeddings is not None:
        used = np.flatnonzero(kept)
        values["distance"][used] = likeness.doubts(embeddings[used], [people[i] for i in used.tolist()])
    values["confidence"] = np.array([float(row["confidence"]) for row in rows])
    scores = {name: z_scores(values[name], measure) for name, measure in MEASURES.items()}
    # A face that looks more like another person is doubtful, however common that is in the set.
    scores["likeness"] = np.where(margin > 0, np.maximum(scores["likeness"], OUTLIER), 0)
    copies = _copies(rows, people, kept, distance)
    found = []
    for number, row in enumerate(rows):
        other = rows[similar[number]] if similar[number] >= 0 else {"image": ""}
        own = {name: float(of_all[number]) for name, of_all in scores.items()}
        reasons = _outliers(own, people[similar[number]])
        if number in copies:
            reasons[f"same photo as one of {copies[number]}"] = COPY
        if int(row["usable"]) > 1:
            reasons[f"{row['usable']} faces on the photo"] = SEVERAL
        found.append(
            {name: row[name] for name in ("row", "label", "image", "usable")}
            | {name: _text(values[name][number]) for name in MEASURES}
            | {
                "score": round(sum(reasons.values()), 2),
                "reasons": "; ".join(sorted(reasons, key=lambda reason: -reasons[reason])),
                "similar": other["image"],
            }
        )
    return found


def z_scores(values: traits.Values, measure: Measure) -> traits.Values:
    """Return the robust z-score of each value, (N,); 0 where the value is NaN."""
    scaled = np.log(np.maximum(values, 1e-9)) if measure.logarithmic else values
    known = scaled[~np.isnan(scaled)]
    if len(known) == 0:
        return np.zeros(len(values))
    spread = 1.4826 * np.median(np.abs(known - np.median(known)))
    return np.asarray(np.nan_to_num((scaled - np.median(known)) / max(spread, measure.spread)), np.float64)


def _outliers(scores: Mapping[str, float], other: str) -> dict[str, float]:
    """Return the reasons for which a face that looks like `other` is an outlier, and the strength of each."""
    found = {}
    for name, score in scores.items():
        reason = MEASURES[name].high if score > 0 else MEASURES[name].low
        if reason and abs(score) >= OUTLIER:
            found[reason.format(other=other)] = min(abs(score), STRONGEST)
    return found


def _copies(
    rows: Sequence[Mapping[str, str]], people: Sequence[str], kept: Sequence[bool], distance: int
) -> dict[int, str]:
    """Return the faces whose photo is a near-duplicate of another person's, and that person."""
    hashes = np.array([[int(row["photo_hash"], 16)] for row in rows], np.uint64)
    pairs = near_pairs(hashes, distance).tolist()
    both = [(i, j) for i, j in pairs if people[i] != people[j] and kept[i] and kept[j]]
    return {one: people[two] for i, j in both for one, two in ((i, j), (j, i))}


def _text(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.4g}"
