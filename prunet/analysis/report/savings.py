"""Savings of pruning: bytes on disk and milliseconds."""

from typing import Any

import pandas as pd

from prunet.analysis import comparisons
from prunet.analysis.report import words
from prunet.analysis.report.reading import Study
from prunet.deployment import crossover


def headline_density(study: Study) -> float | None:
    """Return the density whose savings are reported: of the winning ticket, else of the headline round."""
    compared = study.tables.get("comparisons")
    winner = None if compared is None else comparisons.winning_ticket(compared)
    if winner is not None:
        return float(winner["density"])
    return next(iter(study.at_headline("summary")["density"]), None)


def saved_bytes(study: Study) -> "pd.Series[Any] | None":
    """Return the row of footprint.csv at the headline density, if there is one."""
    density, table = headline_density(study), study.tables.get("footprint")
    if table is None or density is None:
        return None
    rows = table[(table["density"] - density).abs() < 1e-6]
    return rows.iloc[0] if len(rows) else None


def speedups(study: Study) -> dict[int, crossover.Speedup]:
    """Return the speedup at the timed density next to the headline density, by batch size."""
    density = headline_density(study)
    if density is None:
        return {}
    return {
        batch: min(crossover.speedups(rows), key=lambda one: abs(one.density - density))
        for batch, rows in study.timed().items()
    }


def bytes_on_disk(study: Study) -> list[str]:
    """Say what the ticket takes on disk, to the bit and with few bits a weight."""
    row = saved_bytes(study)
    if row is None:
        return []
    dense, ticket = row["bytes_dense"], row["bytes_ticket"]
    sentence = (
        f"At {words.density(row['density'])} of the weights the ticket's file takes {words.size(ticket)} in "
        f"place of {words.size(dense)}, {words.times(dense / ticket)} times less"
    )
    quantised = study.tables.get("quantised", pd.DataFrame({"round": [], "bits": []}))
    rows = quantised[(quantised["round"] == row["round"]) & (quantised["bits"] < 32)]
    if rows.empty:
        return [f"{sentence}, to the bit."]
    least = rows.sort_values("bits").iloc[0]  # not the most accurate: test images choose nothing
    return [
        f"{sentence}, to the bit; with {least['bits']:.0f} bits a weight {words.size(least['bytes'])}, "
        f"{words.times(least['times_smaller'])} times less, with a test accuracy of "
        f"{words.percent(least['accuracy'])} (dense: {words.percent(least['accuracy_dense'])}; one network)."
    ]


def milliseconds(study: Study) -> list[str]:
    """Say at which densities the pruned network is faster."""
    found = {batch: crossover.crossover(rows) for batch, rows in study.timed().items()}
    return [crossover.sentence(found)] if found else []
