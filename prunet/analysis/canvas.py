"""Size, style, axes and legend that all figures share."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from prunet.base.files import replacing

WIDTH, HEIGHT = 3.5, 2.6  # inches; a column of a two-column paper
DPI = 200  # of layout and file: the width of text in inches changes with the resolution
STYLE: Any = {"font.size": 8, "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 1.2}

# Okabe & Ito (2008) first; markers and line styles tell the lines apart without colour as well.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999"]
COLORS += ["#7B3294", "#4D9221", "#A63603", "#B8860B"]
MARKERS = "osv^Dp*hX<>d"
LINESTYLES = ("-", "--", ":", "-.")

# {scheme or criterion: its label, color, linestyle and marker}; one that is missing gets a style of its own.
Styles = Mapping[str, dict[str, Any]]


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG; equal figures give equal bytes."""
    with replacing(path) as partial, rc_context(STYLE):
        figure.savefig(partial, format="png", metadata={"Software": None})


def save_all(figures: dict[str, Figure], folder: Path) -> None:
    """Write figures as `folder`/NAME.png, all of them or none."""
    with replacing(folder) as partial:
        partial.mkdir()
        for name, figure in figures.items():
            save(figure, partial / f"{name}.png")


def new_figure(title: str) -> tuple[Figure, Axes]:
    """Start a figure one column wide; a long title, `study: subject`, gets two lines and smaller letters."""
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI, layout="constrained")
        axes = figure.subplots()
        text, available = figure.suptitle(title, fontsize=9), 0.96 * figure.bbox.width
        if text.get_window_extent().width > available:
            text.set_text(title.replace(": ", "\n", 1))
        text.set_fontsize(9 * min(1, available / text.get_window_extent().width))
    return figure, axes


def density_figure(table: pd.DataFrame, title: str) -> tuple[Figure, Axes]:
    """Start a figure by density, on a logarithmic axis that falls to the right: rounds are evenly spaced."""
    figure, axes = new_figure(title)
    densities = sorted(table["density"].unique())
    every = -(-len(densities) // 9)
    axes.set(xscale="log", xlabel="weights that survive", xlim=(densities[-1] * 1.05, densities[0] / 1.05))
    axes.xaxis.set_major_locator(FixedLocator(densities[::-1][::every]))
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}" if share >= 0.1 else f"{share:.1%}")
    axes.xaxis.set_minor_locator(NullLocator())
    return figure, axes


def plain_log_ticks(axis: Axis) -> None:
    """Label a logarithmic axis with 1, 2, 5, 10, 20, ..."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def limit_to_shares(axes: Axes) -> None:
    """Cut the y axis at 0 and 1, which confidence intervals of shares may exceed."""
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.02), min(high, 1.02))


def learning_curve_limits(table: pd.DataFrame) -> tuple[float, float] | None:
    """Return the limits of the y axis for learning curves, or None to show them whole.

    The first evaluations of a long training run may lie so low that all later ones look like one flat line.
    If more than half of the axis shows the first tenth of the run alone, the axis is fitted to the rest. Runs
    of fewer than 20 evaluations are shown whole.

    Args:
        table: columns `epoch`, `accuracy` and `accuracy_ci95` (0 to 1).
    """
    half = table["accuracy_ci95"].fillna(0)
    low, high = table["accuracy"] - half, (table["accuracy"] + half).max()
    settled = low[table["epoch"] >= 0.1 * table["epoch"].max()].min()
    if table["epoch"].nunique() < 20 or high - settled >= (high - low.min()) / 2:
        return None
    margin = max(0.05 * (high - settled), 0.001)
    return max(0.0, settled - margin), min(1.0, high + margin)


def line_with_band(
    axes: Axes, x: "pd.Series[float]", mean: "pd.Series[float]", half: "pd.Series[float]", **style: Any
) -> None:
    """Draw `mean`, and a band of `half` on either side of it if that is known everywhere."""
    axes.plot(x, mean, **style)
    if half.notna().all():
        axes.fill_between(x, mean - half, mean + half, color=style["color"], alpha=0.15, linewidth=0)


def lines(table: pd.DataFrame, column: str, styles: Styles) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """Yield the rows of each value of a column, and the label and style of their line."""
    for number, (value, rows) in enumerate(table.groupby(column, sort=False)):
        style = {"label": str(value)} | line_style(number) | styles.get(str(value), {})
        if not isinstance(style["linestyle"], str):  # JSON has no tuples
            offset, dashes = style["linestyle"]
            style["linestyle"] = (offset, tuple(dashes))
        yield rows, style


def legend(figure: Figure, *axes: Axes) -> Figure:
    """Put one legend for all `axes` below them, in as many columns as fit; many rows make it taller."""
    count = sum(len(part.get_legend_handles_labels()[1]) for part in axes)
    many = count > 6
    look: dict[str, Any] = {"frameon": False, "columnspacing": 1}
    look |= {"fontsize": 6, "handlelength": 2} if many else {"fontsize": 7, "handlelength": 2.5}
    most = {4: 2, 5: 3, 6: 3}.get(count, min(count, 3 if many else 4))
    with rc_context(STYLE):
        for columns in range(most, 0, -1):
            drawn = figure.legend(loc="outside lower center", ncols=columns, **look)
            if columns == 1 or drawn.get_window_extent().width <= figure.bbox.width:
                break
            drawn.remove()
    figure.set_figheight(HEIGHT + 0.14 * max(0, -(-count // columns) - 2))
    return figure


def line_style(number: int) -> dict[str, Any]:
    """Return colour, marker and line style of the line `number`; they repeat after 144 lines."""
    color, shift = number % len(COLORS), number // len(COLORS)
    return {
        "color": COLORS[color],
        "marker": MARKERS[(number + shift) % len(MARKERS)],
        "linestyle": LINESTYLES[number % len(LINESTYLES)],
    }


def layer_label(layer: str) -> str:
    """Shorten a layer's name: `features.conv2a.conv.weight` is `conv2a`.

    Underscores at the beginning go, because Matplotlib's legends leave such labels out.
    """
    return layer.removeprefix("features.").removesuffix(".weight").removesuffix(".conv").lstrip("_")


def shades(count: int) -> Any:
    """Return colours from dark to light that print well, (count, 4)."""
    return colormaps["viridis"](np.linspace(0, 0.95, count))
