"""What a study says, in sentences: its question, its answers, and what limits them."""

import math
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from prunet.analysis import comparisons
from prunet.analysis.report import words
from prunet.analysis.report.reading import Study
from prunet.analysis.statistics import LEAST
from prunet.deployment import crossover

LEVEL = 0.05  # of two-sided tests after Holm's correction


def question(study: Study) -> str:
    """Return the question that the study asks."""
    block = study.params["settings"]["studies"][study.name]
    rest = (
        ", and from which values must the rest be trained again" if len(study.params["schemes"]) > 1 else ""
    )
    return f"How much of {block['model']} can be pruned on {_data(block['data'])} before it gets worse{rest}?"


def _data(block: dict[str, Any]) -> str:
    if block["set"] == "faces":
        return "faces of the listed people"
    return (
        f"the images in {PurePosixPath(block['source']).name}"
        if block["set"] == "folder"
        else str(block["set"])
    )


def answers(study: Study) -> list[str]:
    """Return the answers: the verdict on tickets, where schemes are worse, and what pruning saves."""
    return [*_verdict(study), *_dense(study), *_below_dense(study), *_bytes(study), *_milliseconds(study)]


def _dense(study: Study) -> list[str]:
    summary = study.tables["summary"]
    dense = summary[summary["scheme"] == "dense"]
    if dense.empty:
        return []
    row = dense.iloc[0]
    unit = "" if math.isnan(row["accuracy_ci95"]) else " points"
    accuracy = words.with_interval(row["accuracy_mean"], row["accuracy_ci95"])
    count = int(row["replicates"])
    return [f"Dense, the network's test accuracy is {accuracy}{unit} ({count} replicate{'s' * (count > 1)})."]


def _verdict(study: Study) -> list[str]:
    if "comparisons" not in study.tables:
        return []
    compared = study.tables["comparisons"]
    if not ((compared["scheme"] == "original") & (compared["against"] == "dense")).any():
        return ["No ticket is judged: that needs the scheme original, and a round that prunes."]
    return [comparisons.sentence(compared, study.params["margin"])]


def _below_dense(study: Study) -> list[str]:
    """Say from which density on down each scheme is less accurate than dense on test images."""
    compared = study.tables.get("comparisons", pd.DataFrame())
    if "p_differs_holm" not in compared:
        return []
    against = compared[(compared["against"] == "dense") & (compared["replicates"] >= LEAST)]
    against = against.sort_values("density")
    lower = []
    for scheme, cells in against.groupby("scheme", sort=False):
        run = cells[((cells["accuracy"] < 0) & (cells["p_differs_holm"] < LEVEL)).cummin()]
        if len(run):
            highest = words.density(run["density"].iloc[-1])
            lower.append(f"{label(study, str(scheme))} at {highest} and less ({_loss(run.iloc[0])})")
    if lower:
        return [f"On test images, after Holm's correction, less accurate than dense: {'; '.join(lower)}."]
    if not (against["accuracy"] < 0).any():
        return []
    most = against.sort_values("accuracy").iloc[0]
    return [
        "On test images, after Holm's correction, no scheme is shown to be less accurate than dense at its "
        f"lowest density; the largest loss is that of {label(study, most['scheme'])} ({_loss(most)})."
    ]


def _loss(cell: "pd.Series[Any]") -> str:
    difference = words.points(cell["accuracy"], cell["accuracy_ci95"])
    return f"{difference} points at {words.density(cell['density'])}"


def label(study: Study, scheme: str) -> str:
    """Return the name of a scheme in figures."""
    return str(study.params["schemes"].get(scheme, {}).get("label", scheme))


def headline_density(study: Study) -> float | None:
    """Return the density whose savings are reported: of the winning ticket, else of the headline round."""
    compared = study.tables.get("comparisons")
    winner = (
        None
        if compared is None or "early_stop_step" not in compared
        else comparisons.winning_ticket(compared)
    )
    if winner is not None:
        return float(winner["density"])
    rows = study.tables["summary"].query("round == @round", local_dict={"round": study.params["round"]})
    return float(rows["density"].iloc[0]) if len(rows) else None


def _bytes(study: Study) -> list[str]:
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
    best = rows.sort_values(["accuracy", "times_smaller"]).iloc[-1]
    return [
        f"{sentence}, to the bit; with {best['bits']:.0f} bits a weight {words.size(best['bytes'])}, "
        f"{words.times(best['times_smaller'])} times less, with a test accuracy of "
        f"{words.percent(best['accuracy'])} (dense: {words.percent(best['accuracy_dense'])}; one network)."
    ]


def saved_bytes(study: Study) -> "pd.Series[Any] | None":
    """Return the row of footprint.csv at the headline density, if there is one."""
    density, table = headline_density(study), study.tables.get("footprint")
    rows = (
        pd.DataFrame()
        if table is None or density is None
        else table[table["density"].sub(density).abs() < 1e-6]
    )
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


def _milliseconds(study: Study) -> list[str]:
    found = {batch: crossover.crossover(rows) for batch, rows in study.timed().items()}
    return [crossover.sentence(found)] if found else []


def tiles(study: Study) -> list[tuple[str, str]]:
    """Return the main numbers of a study, each with the words below it."""
    summary = study.tables["summary"]
    found = []
    for _, row in summary[summary["scheme"] == "dense"].iterrows():
        half = (
            ""
            if math.isnan(row["accuracy_ci95"])
            else f" (±\N{NO-BREAK SPACE}{100 * row['accuracy_ci95']:.2f} points)"
        )
        found.append((words.percent(row["accuracy_mean"]), f"test accuracy, dense{half}"))
    compared = study.tables.get("comparisons")
    if compared is not None and (compared["scheme"] == "original").any():
        winner = comparisons.winning_ticket(compared) if "early_stop_step" in compared else None
        if winner is not None:
            found.append((words.density(winner["density"]), "of the weights in the sparsest winning ticket"))
        elif (compared["verdict"] == comparisons.TOO_FEW).any():
            found.append(("?", f"sparsest winning ticket: {LEAST} replicates are needed to say"))
        else:
            found.append(("none", "no round is shown to be a winning ticket"))
    saved = saved_bytes(study)
    if saved is not None:
        ratio = words.times(saved["bytes_dense"] / saved["bytes_ticket"])
        found.append(
            (
                f"{ratio}\N{MULTIPLICATION SIGN}",
                f"smaller on disk at {words.density(saved['density'])} of the weights, to the bit",
            )
        )
    for batch, one in speedups(study).items():
        quartiles = f"quartiles {words.times(one.low)} to {words.times(one.high)}"
        images = "1 image" if batch == 1 else f"{batch} images"
        found.append(
            (
                f"{words.times(one.median)}\N{MULTIPLICATION SIGN}",
                f"as fast for {images} at {words.density(one.density)} of the weights ({quartiles})",
            )
        )
    return found


def notices(study: Study) -> list[str]:
    """Return what limits the answers: guessing networks, one replicate, short trainings, missing tables."""
    summary, found = study.tables["summary"], []
    unfinished = summary.get("still_falling", pd.Series(dtype=float)).fillna(0) >= 0.5
    if (summary["replicates"] == 1).all():
        found.append(
            "One replicate: no interval can be computed, and none is drawn. Set "
            f"studies.{study.name}.replicates to {LEAST} or more."
        )
    elif (summary["replicates"] < LEAST).all():
        found.append(
            f"{summary['replicates'].max()} replicates: intervals are wide; {LEAST} are needed for a verdict."
        )
    dense = summary[summary["scheme"] == "dense"]
    if (dense.get("guesses", pd.Series(dtype=float)) >= 0.5).any():
        found.append(
            "The dense networks guess: on test images they are not clearly better than always answering with "
            "the largest class, and pruning them shows nothing."
        )
    if unfinished.any():
        found.append(
            f"In {unfinished.sum()} of {len(summary)} cells the validation loss of most networks still fell "
            "at the last step (hollow marks): they were trained too briefly."
        )
    if summary[["accuracy_mean", "early_stop_step_mean"]].isna().any(axis=None):
        found.append("Some cells have no accuracy (NaN); figures leave them out.")
    return found + study.problems
