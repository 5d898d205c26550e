"""Describe a study in sentences: its question, its answers, and their limits."""

import math
from pathlib import PurePosixPath
from typing import Any

import pandas as pd

from prunet.analysis import comparisons
from prunet.analysis.report import savings, words
from prunet.analysis.report.reading import Study
from prunet.analysis.statistics import LEAST

LEVEL = 0.05  # of two-sided tests after Holm's correction


def question(study: Study) -> str:
    """Return the question that the study asks."""
    block = study.params["settings"]["studies"][study.name]
    start = f"How much of {block['model']} can be pruned on {_data(block['data'])} before it gets worse"
    several = len(study.params["schemes"]) > 1
    return f"{start}{', and from which values must the rest be trained again' if several else ''}?"


def _data(block: dict[str, Any]) -> str:
    folder = PurePosixPath(block["source"]).name
    named = {"faces": "faces of the listed people", "folder": f"the images in {folder}"}
    return str(named.get(block["set"], block["set"]))


def answers(study: Study) -> list[str]:
    """Return the answers: the verdict on tickets, where schemes are worse, and what pruning saves."""
    saved = [*savings.bytes_on_disk(study), *savings.milliseconds(study)]
    return [*_verdict(study), *_dense(study), *_below_dense(study), *saved]


def _dense(study: Study) -> list[str]:
    summary = study.tables["summary"]
    dense = summary[summary["scheme"] == "dense"]
    if dense.empty:
        return []
    row = dense.iloc[0]
    unit = "" if math.isnan(row["accuracy_ci95"]) else " points"
    accuracy = words.with_interval(row["accuracy_mean"], row["accuracy_ci95"])
    count = int(row["replicates"])
    found = f"The dense network's test accuracy is {accuracy}{unit} ({count} replicate{'s' * (count > 1)})."
    if "accuracy_low" in row:
        span = f"{words.percent(row['accuracy_low'])} to {words.percent(row['accuracy_high'])}"
        found += (
            f" Over other test images, as many as these {row['test_images']:,.0f}, its interval is {span}."
        )
    return [found]


def _verdict(study: Study) -> list[str]:
    if "comparisons" not in study.tables:
        return []
    compared = study.tables["comparisons"]
    if not ((compared["scheme"] == "original") & (compared["against"] == "dense")).any():
        return ["No ticket is judged: that needs the scheme original, and a round that prunes."]
    return [comparisons.sentence(compared, study.params["margin"])]


def _below_dense(study: Study) -> list[str]:
    """Say from which density on down each scheme is less accurate than dense on test images."""
    if "comparisons" not in study.tables:
        return []
    compared = study.tables["comparisons"]
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


def made(study: Study) -> list[str]:
    """Return what trained the networks; nothing for the tables of an older version."""
    summary = study.tables["summary"]
    if "processor" not in summary:
        return []
    machines = summary[["torch", "processor"]].dropna().drop_duplicates()
    return [f"Trained with PyTorch {torch} on {processor}." for torch, processor in machines.to_numpy()]
