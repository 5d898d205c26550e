"""Rows of the figures and of the table of all cells, from the tables of a study."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd

from prunet.analysis.canvas import layer_label
from prunet.analysis.report import words
from prunet.analysis.report.reading import Study, records

# A row of a figure: `series`, `x`, `value`, `low` and `high` (both None without an interval), and texts for
# people: `shown` (the value with its interval), `at` (where on the x axis), `note`, `revision`. `level` marks
# a value that is drawn over the whole width.
Row = dict[str, Any]


def by_density(studies: Sequence[Study], name: str) -> list[Row]:
    """Return `accuracy` or `early_stop_step` of every cell, by density."""
    rows = []
    for study in studies:
        for _, cell in study.tables["summary"].iterrows():
            value, half = cell[f"{name}_mean"], cell[f"{name}_ci95"]
            falling = cell.get("still_falling", math.nan) >= 0.5
            note = _replicates(int(cell["replicates"])) + (", trained too briefly" if falling else "")
            rows.append(
                _row(study, cell["scheme"], cell["density"], value, half, share=name == "accuracy")
                | {"at": f"{words.density(cell['density'])} of the weights", "note": note}
                | {"hollow": bool(falling), "level": cell["scheme"] == "dense"}
            )
    return rows


def curves(studies: Sequence[Study]) -> list[Row]:
    """Return the validation accuracy by epoch of every scheme at the headline round."""
    return [
        _row(study, point["scheme"], point["epoch"], point["accuracy"], point["accuracy_ci95"])
        | {"at": f"epoch {point['epoch']:.3g}", "note": f"round {study.params['round']}"}
        for study in studies
        for _, point in study.tables.get("curves", pd.DataFrame()).iterrows()
    ]


def layers(study: Study) -> list[Row]:
    """Return the density of every layer by round."""
    table = study.tables["layers"]
    return [
        _row(study, layer_label(name), int(number), share)
        | {"shown": words.density(share), "at": f"round {number}", "note": name}
        for name in table.columns.drop("round")
        for number, share in zip(table["round"], table[name], strict=True)
    ]


def sizes(study: Study) -> list[Row]:
    """Return test accuracy by size, for the lossless file and every number of bits a weight."""
    return [
        _row(study, _bits(point["bits"]), point["times_smaller"], point["accuracy"])
        | {"at": f"{words.times(point['times_smaller'])} times smaller, {words.size(point['bytes'])}"}
        | {"note": f"{words.density(point['density'])} of the weights, one network"}
        for _, point in study.tables["quantised"].iterrows()
    ]


def latencies(study: Study, batch: int) -> list[Row]:
    """Return the milliseconds of every form of the network for `batch` images, by density."""
    return [
        _row(study, point["form"], point["density"], point["ms_median"])
        | {"low": point["ms_low"], "high": point["ms_high"], "shown": words.milliseconds(point["ms_median"])}
        | {"at": f"{words.density(point['density'])} of the weights"}
        | {"note": f"quartiles {point['ms_low']:.3g} to {words.milliseconds(point['ms_high'])}"}
        for point in study.timed()[batch]
    ]


def confusion(cells: pd.DataFrame) -> list[Row]:
    """Return the cells of a confusion matrix, whose classes are texts."""
    return [
        {"true": str(cell["true"]), "named": str(cell["named"]), "share": cell["share"]}
        | {"shown": f"{100 * cell['share']:.3g}% of the answers", "count": str(cell["count"])}
        for cell in records(cells)
    ]


def _row(
    study: Study, series: str, x: float, value: float, half: float = math.nan, share: bool = True
) -> Row:
    """Return a row; the band of a `share` ends at 0 and 1, which its interval may exceed."""
    low, high = value - half, value + half
    low, high = (max(low, 0.0), min(high, 1.0)) if share else (max(low, 0.0), high)
    known = math.isfinite(half)
    return {
        "series": series,
        "x": x,
        "value": words.known(value),
        "low": low if known else None,
        "high": high if known else None,
        "shown": words.with_interval(value, half) if share else words.steps(value, half),
        "revision": study.revision,
        "level": False,
    }


def _bits(count: float) -> str:
    return "lossless" if count == 32 else f"{count:.0f} bits"


def _replicates(count: int) -> str:
    return "1 replicate, no interval" if count == 1 else f"{count} replicates"


# A column of the table of cells: its heading, and the text and sorting value of a cell.
Column = tuple[str, Callable[[Mapping[str, Any]], tuple[str, Any]]]


def cells(studies: Sequence[Study]) -> dict[str, Any]:
    """Return the table of all cells: `columns`, and `rows` of a text and a sorting value for each column."""
    rows = [row for study in studies for row in _joined(study)]
    columns: list[Column] = [
        *([("revision", lambda row: (row["revision"], row["revision"]))] if len(studies) > 1 else []),
        ("scheme", lambda row: (row["scheme"], row["scheme"])),
        ("round", lambda row: (row["round"], int(row["round"]))),
        ("density", lambda row: (words.density(row["density"]), row["density"])),
        ("replicates", lambda row: (str(row["replicates"]), row["replicates"])),
        ("test accuracy", _accuracy),
        *([("of other images", _of_other_images)] if any("accuracy_low" in row for row in rows) else []),
        ("minus dense", lambda row: _difference(row, "dense")),
        ("minus random", lambda row: _difference(row, "random")),
        ("verdict", lambda row: (row["verdict"], row["verdict"])),
        ("early stop, step", _early_stop),
    ]
    return {
        "columns": [name for name, _ in columns],
        "rows": [[value(row) for _, value in columns] for row in rows],
    }


def _joined(study: Study) -> list[dict[str, Any]]:
    """Return the rows of the summary with their comparisons with dense and random."""
    table = study.tables["summary"].assign(revision=study.revision)
    compared = study.tables.get("comparisons")
    for against in ("dense", "random"):
        if compared is None:
            continue
        part = compared[compared["against"] == against].set_index(["scheme", "round"])
        part = part[["accuracy", "accuracy_ci95", "verdict"]].add_prefix(f"{against}_")
        table = table.join(part, on=["scheme", "round"])
    table["verdict"] = table["dense_verdict"].fillna("") if "dense_verdict" in table else ""
    return records(table)


def _accuracy(row: Mapping[str, Any]) -> tuple[str, Any]:
    mean = row["accuracy_mean"]
    return words.with_interval(mean, row["accuracy_ci95"]), words.known(mean)


def _of_other_images(row: Mapping[str, Any]) -> tuple[str, Any]:
    low, high = row.get("accuracy_low", math.nan), row.get("accuracy_high", math.nan)
    return f"{words.percent(low)} to {words.percent(high)}", words.known(low)


def _difference(row: Mapping[str, Any], against: str) -> tuple[str, Any]:
    mean, half = row.get(f"{against}_accuracy", math.nan), row.get(f"{against}_accuracy_ci95", math.nan)
    return words.points(mean, half), words.known(mean)


def _early_stop(row: Mapping[str, Any]) -> tuple[str, Any]:
    mean = row["early_stop_step_mean"]
    return words.steps(mean, row["early_stop_step_ci95"]), words.known(mean)
