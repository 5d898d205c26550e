"""The figures of a page: heading, specification, legend, and a caption with the main numbers."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd

from prunet.analysis.canvas import learning_curve_limits
from prunet.analysis.report import figures, rows, sentences, words
from prunet.analysis.report.reading import Study

NAMED = 12  # series that a legend names
CLASSES = 40  # most of a confusion matrix


class Chart(NamedTuple):
    """One figure: the `name` of its element, `looks` of its series, and how it is `drawn`."""

    name: str
    title: str
    caption: str
    looks: figures.Looks
    drawn: figures.Spec

    @property
    def spec(self) -> figures.Spec:
        """The specification with the text alternative."""
        return self.drawn | {"description": f"{self.title}. {self.caption}"}

    @property
    def legend(self) -> figures.Looks:
        """The series that are named beside the figure, each of which can be switched off."""
        return self.looks if len(self.looks) <= NAMED else {}


def headline(studies: Sequence[Study]) -> Chart:
    """Return the figure of test accuracy by density."""
    cells = rows.by_density(studies, "accuracy")
    values = [_at_headline(study) for study in studies]
    return _by_density("accuracy", "Test accuracy at the early stop, by density", values, studies, cells)


def others(studies: Sequence[Study]) -> list[Chart]:
    """Return the other figures, as far as there are tables for them; several studies share some of them."""
    stops = rows.by_density(studies, "early_stop_step")
    found = [_by_density("early-stop", "Step of the early stop, by density", [], studies, stops)]
    curves = rows.curves(studies)
    if curves:
        found.append(_curves(studies, curves))
    if len(studies) == 1:
        (study,) = studies
        found += _confusion(study) + _sizes(study) + _latencies(study) + _layers(study)
    return found


def _by_density(
    name: str, title: str, values: Sequence[str], studies: Sequence[Study], cells: list[rows.Row]
) -> Chart:
    looks = figures.schemes(cells, _styles(studies))
    caption = " ".join([_intervals(studies, looks), *values])
    share = name == "accuracy"
    y = {"scale": {"zero": not share}, "axis": figures.SHARES if share else {}}
    spec = figures.lines(cells, looks, figures.density_axis(cells), y)
    return Chart(name, title, caption, looks, spec)


def _styles(studies: Sequence[Study]) -> dict[str, Any]:
    return {name: style for study in studies for name, style in study.params["schemes"].items()}


def _intervals(studies: Sequence[Study], looks: figures.Looks) -> str:
    counts = [int(count) for study in studies for count in study.tables["summary"]["replicates"]]
    if max(counts) == 1:
        return "One replicate, so there are no intervals."
    number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    where = "bands are" if figures.bands(looks) else "the values of a mark have"
    return f"Mean of {number} replicates; {where} 95% intervals of the mean."


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
    where = f"{study.revision}: at" if study.revision else "At"
    return f"{where} {words.density(cells['density'].iloc[0])} of the weights: {', '.join(values)}."


def _curves(studies: Sequence[Study], points: list[rows.Row]) -> Chart:
    looks = figures.schemes(points, _styles(studies))
    rounds = dict.fromkeys(study.params["round"] for study in studies)
    caption = f"At the headline round, {words.listed(list(rounds))}. {_intervals(studies, looks)}"
    x = {"title": "epoch", "axis": {"grid": False, "tickCount": 6}, "scale": {"nice": False}}
    limits = learning_curve_limits(
        pd.concat(study.tables["curves"] for study in studies if "curves" in study.tables)
    )
    scale = {"domain": limits, "nice": False} if limits else {"zero": False}
    spec = figures.lines(points, looks, x, {"scale": scale, "axis": figures.SHARES})
    return Chart("curves", "Validation accuracy while training, by epoch", caption, looks, spec)


def _confusion(study: Study) -> list[Chart]:
    cells = rows.confusion(study.at_headline("confusion"))
    names = list(dict.fromkeys(cell["true"] for cell in cells))
    if not 0 < len(names) <= CLASSES:
        return []
    wrong = [cell for cell in cells if cell["true"] != cell["named"]]
    most = max(wrong, key=lambda cell: float(cell["share"]), default=None)
    caption = f"Answers of all networks to the test images at round {study.params['round']}, by class."
    if most:
        caption += f" Most frequent mistake: {most['true']}, named {most['named']} in {most['shown']}."
    spec = figures.confusion(cells, names)
    return [Chart("confusion", "Which class is taken for which", caption, {}, spec)]


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
    x = {"title": "times smaller than dense", "axis": {"format": "~g", "grid": False}}
    y = {"scale": {"zero": False}, "axis": figures.SHARES}
    spec = figures.lines(points, looks, x | {"scale": {"type": "log"}}, y)
    return [Chart("sizes", "Test accuracy by size on disk", caption, looks, spec)]


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
        spec = figures.lines(points, looks, figures.density_axis(points), y)
        title = f"Milliseconds for {images}, by density"
        found.append(Chart(f"latency-{batch}", title, caption, looks, spec))
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
    each = f"from {least['shown']} ({least['series']}) to {most['shown']} ({most['series']})"
    caption = f"At the last round the layers keep {each} of their weights."
    if least["shown"] == most["shown"]:
        caption = f"At the last round every layer keeps {least['shown']} of its weights."
    x = {"title": "round", "axis": {"tickMinStep": 1, "grid": False}, "scale": {"nice": False}}
    y = {"scale": {"type": "log", "nice": False}, "axis": {"format": ".3~p", "labelOverlap": "parity"}}
    spec = figures.lines(points, looks, x, y)
    return [Chart("layers", "Density of each layer, by round", caption, looks, spec)]
