"""Tables of how well networks tell people apart whom they never saw, by scheme and round."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from prunet.analysis.statistics import interval
from prunet.base.progress import progress
from prunet.data.faces.likeness import Vectors
from prunet.recognition import identification, verification

# What stands for a scheme in the rows of embeddings to compare with: the networks before their training, the
# pixels themselves, the pretrained network.
INITIAL, PIXELS, PRETRAINED = "init", "pixels", "sface"
DRAWS = 20  # of the photos that are enrolled
FALSE_ACCEPTS = np.geomspace(0.001, 1, 61)  # of the ROC curves


class Cell(NamedTuple):
    """The networks of a scheme at a round."""

    scheme: str
    round: str
    density: float  # NaN of embeddings to compare with
    replicates: Sequence[int]  # of each network
    accuracies: Sequence[float]  # of each network, on the test split; NaN if it is not measured
    embed: Callable[[], Iterator[Vectors]]  # yields the embeddings of the new people's faces by each network


def measure(
    cells: Sequence[Cell], people: NDArray[np.int64], settings: dict[str, Any], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure networks on the faces of new people.

    Args:
        cells: the networks.
        people: (N,), the new person on each face; at least two people, one of them with two faces.
        settings: the block `new_people` of params.yaml.
        seed: of the draws of photos.

    Returns:
        Two tables. The first has a row for each cell: `scheme`, `round`, `density`, `replicates`, and over
        these `*_mean` and `*_ci95` (half the width of the mean's 95% interval) of

        - `accuracy` on the test split of the people that the networks were trained on, at the last step,
          whose weights embed the faces;
        - `auroc`, `equal_error_rate`, `true_accepts` of all pairs of photos of new people: `verification`;
        - `identified_K` for each number of enrolled photos K: `identification.accuracy`;

        then the `false_accepts` that `true_accepts` are given at, and the numbers of new `people`, of their
        `faces`, and of pairs of the `same` person and of `different` people. The second has the ROC curves:
        `scheme`, `round`, `density`, `false_accepts` and `true_accepts`, means over replicates at the same
        false accepts (Fawcett 2006, "An introduction to ROC analysis").
    """
    rows, curves = [], []
    for cell in progress(cells, desc="new people", unit="cell"):
        own = {"scheme": cell.scheme, "round": cell.round, "density": cell.density}
        found, drawn = [], []
        for embeddings in cell.embed():
            pairs = verification.pairs(embeddings, people)
            found.append(_rates(pairs, embeddings, people, settings, seed))
            drawn.append(verification.curve(pairs, FALSE_ACCEPTS))
        replicates = np.array(cell.replicates)
        runs = pd.DataFrame(found).assign(accuracy=cell.accuracies).groupby(replicates).mean()
        row = own | {"replicates": len(runs)}
        for name in ("accuracy", *runs.columns.drop("accuracy")):
            row |= {f"{name}_mean": runs[name].mean(), f"{name}_ci95": interval(runs[name])}
        row |= {"false_accepts": settings["false_accepts"], "people": len(np.unique(people))}
        rows.append(row | {"faces": len(people), "same": len(pairs.same), "different": len(pairs.different)})
        mean = pd.DataFrame(drawn).groupby(replicates).mean().mean()
        curves.append(pd.DataFrame(own | {"false_accepts": FALSE_ACCEPTS, "true_accepts": mean}))
    return pd.DataFrame(rows), pd.concat(curves, ignore_index=True)


def _rates(
    pairs: verification.Pairs,
    embeddings: Vectors,
    people: NDArray[np.int64],
    settings: dict[str, Any],
    seed: int,
) -> dict[str, float]:
    """Return the rates of one network."""
    return verification.measure(pairs, settings["false_accepts"])._asdict() | {
        f"identified_{photos}": identification.accuracy(embeddings, people, photos, DRAWS, seed)
        for photos in settings["photos"]
    }
