"""Figures of a sweep: accuracy and size of networks that were pruned once and not retrained."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import legend, line_with_band, lines, new_figure, plain_log_ticks


def accuracy_by_sparsity(table: pd.DataFrame, published: Sequence[dict[str, Any]], title: str) -> Figure:
    """Draw test accuracy by sparsity, a line for each criterion; published values as hollow markers.

    Args:
        table: `criterion`, `sparsity`, `accuracy_mean`, `accuracy_ci95`.
        published: `criterion`, `sparsity` and `accuracy` of each point.
        title: of the figure.
    """
    figure, axes = new_figure(title)
    points = pd.DataFrame(published, columns=["criterion", "sparsity", "accuracy"])
    for rows, style in lines(table, "criterion", {}):
        mean, half = rows["accuracy_mean"], rows["accuracy_ci95"]
        line_with_band(axes, rows["sparsity"], mean, half, markersize=3, **style)
        theirs = points[points["criterion"] == style["label"]]
        if len(theirs):
            style |= {"label": f"{style['label']}, published", "linestyle": "none", "markerfacecolor": "none"}
            axes.plot(theirs["sparsity"], theirs["accuracy"], markersize=6, **style)
    axes.set(ylabel="test accuracy without retraining", ylim=(0, 1.02))
    return _finish(figure, axes)


def bytes_by_sparsity(table: pd.DataFrame, title: str) -> Figure:
    """Draw the size of the compact file by sparsity, a line for each criterion."""
    figure, axes = new_figure(title)
    for rows, style in lines(table, "criterion", {}):
        axes.plot(rows["sparsity"], rows["bytes_ticket"] / 1000, markersize=3, **style)
    axes.set(ylabel="compact file (kB)", yscale="log")
    plain_log_ticks(axes.yaxis)
    return _finish(figure, axes)


def _finish(figure: Figure, axes: Axes) -> Figure:
    axes.set(xlabel="sparsity of each layer")
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    return legend(figure, axes)
