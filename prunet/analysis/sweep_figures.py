"""Figures of a sweep: what is left of accuracy when weights or units go and nothing is trained again."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import column, legend, line

# Okabe & Ito (2008) for the first ones, which are told apart without colour as well.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
COLORS += ["#7B3294", "#4D9221", "#A63603", "#B8860B"]
MARKERS = "osv^Dp*hX<>d"
STYLES = ("-", "--", ":", "-.")


def accuracy_by_sparsity(table: pd.DataFrame, published: Sequence[dict[str, Any]], title: str) -> Figure:
    """Draw test accuracy by sparsity, a line for each criterion; what others published as hollow marks.

    Args:
        table: `criterion`, `sparsity`, `accuracy_mean`, `accuracy_ci95`.
        published: `criterion`, `sparsity` and `accuracy` of each point.
        title: of the figure.
    """
    figure, axes = column(title)
    others = pd.DataFrame(published, columns=["criterion", "sparsity", "accuracy"])
    for look, (criterion, rows) in zip(_looks(table), table.groupby("criterion", sort=False), strict=True):
        line(axes, rows["sparsity"], rows["accuracy_mean"], rows["accuracy_ci95"], look, str(criterion))
        points = others[others["criterion"] == criterion]
        if len(points):
            hollow = look | {"linestyle": "none", "markerfacecolor": "none", "markersize": 6}
            axes.plot(points["sparsity"], points["accuracy"], label=f"{criterion}, published", **hollow)
    axes.set(xlabel="sparsity of the layers", ylabel="test accuracy, not trained again", ylim=(0, 1.02))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return legend(figure, axes)


def bytes_by_sparsity(table: pd.DataFrame, title: str) -> Figure:
    """Draw the size of the compact file by sparsity, a line for each criterion."""
    figure, axes = column(title)
    for look, (criterion, rows) in zip(_looks(table), table.groupby("criterion", sort=False), strict=True):
        axes.plot(rows["sparsity"], rows["bytes_ticket"] / 1000, label=str(criterion), **look)
    axes.set(xlabel="sparsity of the layers", ylabel="compact file (kB)", yscale="log")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return legend(figure, axes)


def _looks(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {"color": COLORS[n], "marker": MARKERS[n], "linestyle": STYLES[n % 4], "markersize": 3}
        for n in range(table["criterion"].nunique())
    ]
