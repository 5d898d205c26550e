"""Figures for paper and README: one column wide, colour-blind-safe, told apart without colour as well."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from prunet.analysis.canvas import STYLE, WIDTH, column, density_axes, legend, line, shades

# Colours of Okabe & Ito (2008), twice; line styles and markers tell the schemes apart in print as well.
LOOKS: dict[str, dict[str, Any]] = {
    "original": {"color": "#0072B2", "linestyle": "-", "marker": "o"},
    "rewind": {"color": "#56B4E9", "linestyle": (0, (6, 1)), "marker": "p"},
    "trained": {"color": "#D55E00", "linestyle": "--", "marker": "s"},
    "lr-rewind": {"color": "#A63603", "linestyle": (0, (6, 1, 1, 1)), "marker": "h"},
    "fine-tune": {"color": "#F0A030", "linestyle": (0, (3, 1, 1, 1)), "marker": "X"},
    "random": {"color": "#009E73", "linestyle": ":", "marker": "^"},
    "shuffled": {"color": "#CC79A7", "linestyle": "-.", "marker": "v"},
    "random-mask": {"color": "#E69F00", "linestyle": (0, (4, 1, 1, 1, 1, 1)), "marker": "D"},
    "gradual": {"color": "#000000", "linestyle": (0, (2, 1)), "marker": "*"},
    "static": {"color": "#999999", "linestyle": (0, (1, 1)), "marker": "<"},
    "set": {"color": "#4D9221", "linestyle": (0, (5, 2)), "marker": ">"},
    "rigl": {"color": "#7B3294", "linestyle": (0, (8, 2)), "marker": "d"},
    "sparse-momentum": {"color": "#B8860B", "linestyle": (0, (3, 2, 1, 2)), "marker": "P"},
}
NAMED = 12  # layers that a legend has room for
LABELS = {
    "original": "original (ticket)",
    "rewind": "rewound weights",
    "trained": "trained (kept)",
    "lr-rewind": "rewound learning rate",
    "fine-tune": "fine-tuned",
    "random": "random (new)",
    "shuffled": "shuffled ticket",
    "random-mask": "random mask",
    "gradual": "gradual pruning",
    "static": "static sparse",
    "set": "SET",
    "rigl": "RigL",
    "sparse-momentum": "sparse momentum",
}


def curves(table: pd.DataFrame, title: str) -> Figure:
    """Draw validation accuracy by epoch, a line for each scheme with its 95% confidence interval."""
    figure, axes = column(title)
    for scheme in _schemes(table):
        look = LOOKS[scheme] | {"markersize": 2.5}
        rows = table[table[scheme].notna()]
        line(axes, rows["epoch"], rows[scheme], rows[f"{scheme}_ci95"], look, LABELS[scheme])
    axes.set(xlabel="epoch", ylabel="validation accuracy", xlim=(0, None))
    return legend(figure, axes)


def accuracy_by_density(summary: pd.DataFrame, title: str) -> Figure:
    """Draw test accuracy at the early stop by density, with 95% confidence intervals, and the dense line."""
    figure, axes = density_axes(summary, title)
    _draw_schemes(axes, summary, "accuracy")
    for accuracy in summary.loc[summary["scheme"] == "dense", "accuracy_mean"]:
        axes.axhline(accuracy, color="0.5", linewidth=0.8, zorder=0, label="dense")
    axes.set(ylabel="test accuracy at early stop")
    return legend(figure, axes)


def early_stop_by_density(summary: pd.DataFrame, title: str) -> Figure:
    """Draw the step of the early stop by density, with 95% confidence intervals."""
    figure, axes = density_axes(summary, title)
    _draw_schemes(axes, summary, "early_stop_step")
    axes.set(ylabel="early stop (training step)", ylim=(0, None))
    return legend(figure, axes)


def barriers(table: pd.DataFrame, title: str) -> Figure:
    """Draw loss and error barriers by density, with 95% confidence intervals, on an axis each."""
    figure, axes = density_axes(table, title)
    with rc_context(STYLE):
        error_axes = axes.twinx()
    lines = (("loss", axes, "#0072B2", "o", "-"), ("error", error_axes, "#D55E00", "s", "--"))
    for name, where, color, marker, style in lines:
        look = {"color": color, "marker": marker, "linestyle": style, "markersize": 3}
        line(where, table["density"], table[f"{name}_mean"], table[f"{name}_ci95"], look, name)
        where.set_ylim(0, None)
    axes.set_ylabel("loss barrier (nats, validation)")
    error_axes.set_ylabel("error barrier (validation)", fontsize=STYLE["font.size"])
    error_axes.spines["right"].set_visible(True)
    error_axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return legend(figure, axes, error_axes)


def layer_densities(table: pd.DataFrame, title: str) -> Figure:
    """Draw the density of every layer by round, on a logarithmic axis."""
    figure, axes = column(title)
    layers = [column for column in table.columns if column != "round"]
    widths = np.linspace(5, 1, len(layers))  # thick to thin: lines that coincide stay visible
    every = -(-len(layers) // NAMED)
    named = {*layers[::every], layers[-1]}  # the others lie between them: the shades are in order
    for layer, width, color in zip(layers, widths, shades(len(layers)), strict=True):
        label = _short(layer) if layer in named else None
        axes.plot(table["round"].astype(int), table[layer], color=color, linewidth=width, label=label)
    axes.set(xlabel="round", ylabel="density of the layer", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_minor_locator(NullLocator())
    return legend(figure, axes)


def strip(rows: Sequence[Sequence[NDArray[np.uint8]]], headings: Sequence[str], title: str) -> Figure:
    """Draw a grid of images, (H, W, 3) or (H, W) uint8, one list a row, a heading over each column."""
    columns = max(len(row) for row in rows)
    with rc_context(STYLE):
        figure = Figure(figsize=(2 * WIDTH, 2 * WIDTH * len(rows) / columns + 0.4), layout="constrained")
        grid = figure.subplots(len(rows), columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for line, images in zip(grid, rows, strict=True):
            for axes, image in zip(line, images, strict=False):
                axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        for axes, heading in zip(grid[0], headings, strict=False):
            axes.set_title(heading)
        figure.suptitle(title)
    return figure


def _draw_schemes(axes: Axes, summary: pd.DataFrame, measured: str) -> None:
    for scheme, rows in summary[summary["scheme"] != "dense"].groupby("scheme", sort=False):
        name = str(scheme)
        look = LOOKS[name] | {"markersize": 3}
        line(axes, rows["density"], rows[f"{measured}_mean"], rows[f"{measured}_ci95"], look, LABELS[name])


def _schemes(table: pd.DataFrame) -> list[str]:
    return [column for column in table.columns if f"{column}_std" in table.columns]


def _short(layer: str) -> str:
    """Name a layer as a reader knows it: `features.conv2a.conv.weight` is `conv2a`."""
    return layer.removeprefix("features.").removesuffix(".weight").removesuffix(".conv")
