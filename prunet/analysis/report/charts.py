"""The figures of a page: heading, specification, legend, and a caption with the main numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from prunet.analysis.report import figures, rows, sentences, words
from prunet.analysis.report.reading import Study

NAMED = 12  # series that a legend names


class Chart(NamedTuple):
    """One figure: the `name` of its element, `looks` of its series, and its Vega-Lite `spec`."""

    name: str
    title: str
    caption: str
    looks: Mapping[str, Mapping[str, Any]]
    spec: figures.Spec

    @property
    def legend(self) -> Mapping[str, Mapping[str, Any]]:
        """The series that are named beside the figure, each of which can be switched off."""
        return self.looks if len(self.looks) <= NAMED else {}


def headline(studies: Sequence[Study]) -> Chart:
    """Return the figure of test accuracy by density."""
    cells = rows.by_density(studies, "accuracy")
    caption = f"{_band(studies)} {' '.join(_at_headline(study) for study in studies)}"
    return _by_density("accuracy", "Test accuracy at the early stop, by density", caption, studies, cells)


def others(studies: Sequence[Study]) -> list[Chart]:
    """Return the other figures, as far as there are tables for them; several studies share some of them."""
    stops = rows.by_density(studies, "early_stop_step")
    found = [_by_density("early-stop", "Step of the early stop, by density", _band(studies), studies, stops)]
    curves = rows.curves(studies)
    if curves:
        found.append(_curves(studies, curves))
    if len(studies) == 1:
        (study,) = studies
        found += _sizes(study) + _latencies(study) + _layers(study)
    return found


def _by_density(
    name: str, title: str, caption: str, studies: Sequence[Study], cells: list[rows.Row]
) -> Chart:
    looks = figures.schemes(cells, _styles(studies))
    y: figures.Spec = {"scale": {"zero": name != "accuracy"}}
    y["axis"] = {"format": ".3~p"} if name == "accuracy" else {}
    return Chart(
        name, title, caption, looks, figures.lines(cells, looks, figures.density_axis(cells), y, caption)
    )


def _styles(studies: Sequence[Study]) -> dict[str, Any]:
    return {name: style for study in studies for name, style in study.params["schemes"].items()}


def _band(studies: Sequence[Study]) -> str:
    counts = [int(count) for study in studies for count in study.tables["summary"]["replicates"]]
    if max(counts) == 1:
        return "One replicate, so there are no intervals."
    number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return f"Mean of {number} replicates; bands are 95% intervals of the mean."


def _at_headline(study: Study) -> str:
    table = study.tables["summary"]
    cells = table[(table["round"] == study.params["round"]) & (table["scheme"] != "dense")]
    if cells.empty:
        return ""
    values = [
        f"{sentences.label(study, cell['scheme'])} {words.percent(cell['accuracy_mean'])}"
        for _, cell in cells.iterrows()
    ]
    dense = table.loc[table["scheme"] == "dense", "accuracy_mean"]
    values += [f"dense {words.percent(value)}" for value in dense]
    where = f"{study.revision}, at" if study.revision else "At"
    return f"{where} {words.density(cells['density'].iloc[0])} of the weights: {', '.join(values)}."


def _curves(studies: Sequence[Study], points: list[rows.Row]) -> Chart:
    looks = figures.schemes(points, _styles(studies))
    rounds = dict.fromkeys(study.params["round"] for study in studies)
    caption = f"At the headline round, {words.listed(list(rounds))}. {_band(studies)}"
    x = {"title": "epoch", "axis": {"grid": False}, "scale": {"nice": False}}
    y = {"scale": {"zero": False}, "axis": figures.SHARES}
    spec = figures.lines(points, looks, x, y, caption)
    return Chart("curves", "Validation accuracy while training, by epoch", caption, looks, spec)


def _sizes(study: Study) -> list[Chart]:
    if "quantised" not in study.tables:
        return []
    points = rows.sizes(study)
    looks = figures.plain(points)
    smallest = study.tables["quantised"].sort_values("times_smaller").iloc[-1]
    caption = (
        "The ticket's file, to the bit and with codebooks of few bits a weight; one network, so there are no "
        f"intervals. The smallest is {words.times(smallest['times_smaller'])} times smaller than dense, with "
        f"{words.percent(smallest['accuracy'])} (dense: {words.percent(smallest['accuracy_dense'])})."
    )
    x = {
        "title": "times smaller than dense",
        "axis": {"format": "~g", "grid": False},
        "scale": {"type": "log"},
    }
    y = {"scale": {"zero": False}, "axis": figures.SHARES}
    return [
        Chart(
            "sizes",
            "Test accuracy by size on disk",
            caption,
            looks,
            figures.lines(points, looks, x, y, caption),
        )
    ]


def _latencies(study: Study) -> list[Chart]:
    found = []
    for batch in study.timed():
        points = rows.latencies(study, batch)
        looks = figures.plain(points)
        images = "one image" if batch == 1 else f"{batch} images at a time"
        lowest = min(row["x"] for row in points)
        times = [f"{row['series']} {row['shown']}" for row in points if row["x"] == lowest]
        caption = (
            f"Median milliseconds on {_threads(study)}; bands span the quartiles. "
            f"At {words.density(lowest)} of the weights: {', '.join(times)}."
        )
        y = {"scale": {"zero": True}, "axis": {}}
        spec = figures.lines(points, looks, figures.density_axis(points), y, caption)
        found.append(
            Chart(f"latency-{batch}", f"Milliseconds for {images}, by density", caption, looks, spec)
        )
    return found


def _threads(study: Study) -> str:
    count = int(study.tables["latency"]["threads"].iloc[0])
    return "one processor core" if count == 1 else f"{count} processor cores"


def _layers(study: Study) -> list[Chart]:
    table: pd.DataFrame = study.tables.get("layers", pd.DataFrame())
    if table.shape[1] < 2:
        return []
    points = rows.layers(study)
    looks = figures.plain(points)
    last = [row for row in points if row["x"] == points[-1]["x"]]
    least, most = min(last, key=lambda row: row["value"]), max(last, key=lambda row: row["value"])
    caption = (
        f"At the last round the layers keep from {least['shown']} ({least['series']}) to {most['shown']} "
        f"({most['series']}) of their weights."
    )
    x = {"title": "round", "axis": {"tickMinStep": 1, "grid": False}, "scale": {"nice": False}}
    y = {"scale": {"type": "log", "nice": False}, "axis": {"format": ".3~p", "labelOverlap": "parity"}}
    return [
        Chart(
            "layers",
            "Density of each layer, by round",
            caption,
            looks,
            figures.lines(points, looks, x, y, caption),
        )
    ]
