"""The ground that all figures share: size, style, axes, legend."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator, PercentFormatter

from prunet.base.files import replacing

WIDTH, HEIGHT = 3.5, 2.6  # inches; a column of a two-column paper
STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2}


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG at 200 dots an inch; equal figures give equal bytes."""
    with replacing(path) as partial, rc_context(STYLE):
        figure.savefig(partial, format="png", dpi=200, metadata={"Software": None})


def column(title: str) -> tuple[Figure, Axes]:
    """Begin a figure of a column's width."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
    return figure, axes


def density_axes(summary: pd.DataFrame, title: str) -> tuple[Figure, Axes]:
    """Begin a figure by density, which falls to the right on a logarithmic axis: rounds lie evenly."""
    figure, axes = column(title)
    densities = sorted(summary["density"].unique())
    every = -(-len(densities) // 9)
    axes.set(xscale="log", xlabel="weights that survive", xlim=(densities[-1] * 1.05, densities[0] / 1.05))
    axes.xaxis.set_major_locator(FixedLocator(densities[::-1][::every]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if densities[0] > 0.1 else 1))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    return figure, axes


def line(
    axes: Axes,
    x: "pd.Series[float]",
    mean: "pd.Series[float]",
    half: "pd.Series[float]",
    look: Any,
    label: str,
) -> None:
    """Draw a line through `mean`, and a band of `half` on either side of it where that is known."""
    axes.plot(x, mean, label=label, **look)
    if half.notna().all():
        axes.fill_between(x, mean - half, mean + half, color=look["color"], alpha=0.15, linewidth=0)


def legend(figure: Figure, *axes: Axes) -> Figure:
    """Put the legend of all `axes` below them."""
    with rc_context(STYLE):
        count = sum(len(part.get_legend_handles_labels()[0]) for part in axes)
        many = count > 6
        figure.legend(
            loc="outside lower center",
            ncols={4: 2, 5: 3, 6: 3}.get(count, min(count, 3 if many else 4)),
            frameon=False,
            fontsize=6 if many else 7,
            columnspacing=1,
            handlelength=2.5,
        )
    return figure


def shades(count: int) -> Any:
    """Return colours from dark to light that print well, (count, 4)."""
    return colormaps["viridis"](np.linspace(0, 0.95, count))
