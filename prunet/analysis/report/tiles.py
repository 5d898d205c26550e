"""The main numbers of a study, which its page shows in large letters."""

import math

from prunet.analysis import comparisons
from prunet.analysis.report import savings, words
from prunet.analysis.report.reading import Study
from prunet.analysis.statistics import LEAST


def tiles(study: Study) -> list[tuple[str, str]]:
    """Return the main numbers of a study, each with the words below it."""
    summary = study.tables["summary"]
    found = []
    for _, row in summary[summary["scheme"] == "dense"].iterrows():
        half = row["accuracy_ci95"]
        interval = "" if math.isnan(half) else f" (±\N{NO-BREAK SPACE}{100 * half:.2f} points)"
        found.append((words.percent(row["accuracy_mean"]), f"test accuracy, dense{interval}"))
    compared = study.tables.get("comparisons")
    if compared is not None and (compared["scheme"] == "original").any():
        winner = comparisons.winning_ticket(compared)
        if winner is not None:
            found.append((words.density(winner["density"]), "of the weights in the sparsest winning ticket"))
        elif (compared["verdict"] == comparisons.TOO_FEW).any():
            found.append(("?", f"sparsest winning ticket: {LEAST} replicates are needed to say"))
        else:
            found.append(("none", "no round is shown to be a winning ticket"))
    saved = savings.saved_bytes(study)
    if saved is not None:
        where = f"smaller on disk, to the bit, at {words.density(saved['density'])} of the weights"
        found.append((_times(saved["bytes_dense"] / saved["bytes_ticket"]), where))
    for batch, one in savings.speedups(study).items():
        images = "1 image" if batch == 1 else f"{batch} images"
        quartiles = f"quartiles {words.times(one.low)} to {words.times(one.high)}"
        found.append(
            (_times(one.median), f"as fast for {images} at {words.density(one.density)}; {quartiles}")
        )
    return found


def _times(ratio: float) -> str:
    return f"{words.times(ratio)}\N{MULTIPLICATION SIGN}"
