"""Identification of people by the nearest centre of a few photos of each: who of them is it?"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from prunet.data.faces.likeness import Vectors, unit


def accuracy(embeddings: Vectors, people: NDArray[np.int64], most: int, draws: int, seed: int) -> float:
    """Return the share of faces that get the right name, 0 to 1, when a few photos of everybody are enrolled.

    Of each person, `most` photos are drawn and enrolled, or all but one where there are fewer; the others are
    named by the person whose mean embedding they are most alike. A person with one photo is enrolled, so that
    others may be taken for them, and has none to name. The share is the mean over the draws.

    Args:
        embeddings: (N, D) unit vectors, of at least one person with two faces.
        people: (N,), the person on each.
        most: photos of a person, at least 1.
        draws: of these photos.
        seed: of the draws: equal for every network, all are measured on the same ones.
    """
    numbers = np.unique(people, return_inverse=True)[1]
    shares = []
    for enrolled in _drawn(numbers, most, draws, np.random.default_rng(seed)):
        sums = np.zeros((numbers.max() + 1, embeddings.shape[1]))
        np.add.at(sums, numbers[enrolled], embeddings[enrolled])
        named = (embeddings[~enrolled] @ unit(sums).T).argmax(1)
        shares.append(np.mean(named == numbers[~enrolled]))
    return float(np.mean(shares))


def _drawn(
    numbers: NDArray[np.int64], most: int, draws: int, rng: np.random.Generator
) -> Iterator[NDArray[np.bool_]]:
    """Yield which faces are enrolled, (N,), in each draw."""
    own = [np.flatnonzero(numbers == person) for person in range(numbers.max() + 1)]
    for _ in range(draws):
        enrolled = np.zeros(len(numbers), bool)
        for faces in own:
            enrolled[rng.permutation(faces)[: max(1, min(most, len(faces) - 1))]] = True
        yield enrolled
