"""Figures of combinations of compression steps: accuracy by cost, with the Pareto front."""

import pandas as pd
from matplotlib.figure import Figure

from prunet.analysis.canvas import legend, lines, new_figure, plain_log_ticks
from prunet.analysis.pareto_front import COSTS, front

LABELS = {
    "bytes": ("smallest file (kB)", 1e-3),
    "macs": ("multiply-adds of an image (thousands)", 1e-3),
    "ms_median": ("milliseconds for one image, one core", 1.0),
}


def figures(compared: pd.DataFrame, title: str) -> dict[str, Figure]:
    """Return a figure for each cost: a mark for each combination, and a line through those that are best.

    Args:
        compared: from `pareto.table`.
        title: of the figures.
    """
    return {cost: _figure(compared, cost, title) for cost in COSTS}


def _figure(compared: pd.DataFrame, cost: str, title: str) -> Figure:
    figure, axes = new_figure(title)
    label, unit = LABELS[cost]
    best = compared.set_index("combination").loc[front(compared, cost)]
    axes.plot(
        best[cost] * unit,
        100 * best["accuracy_mean"],
        color="#999999",
        linewidth=0.8,
        label="best (validation)",
    )
    for row, style in lines(compared, "combination", {}):
        axes.errorbar(
            row[cost] * unit,
            100 * row["accuracy_mean"],
            100 * row["accuracy_ci95"].fillna(0),
            markersize=4,
            elinewidth=0.6,
            **style | {"linestyle": "none"},
        )
    axes.set(xlabel=label, ylabel="test accuracy (%)", xscale="log")
    plain_log_ticks(axes.xaxis)
    return legend(figure, axes)
