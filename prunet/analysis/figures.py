"""Figures of a study by epoch, density, round and layer: one column wide, readable without colour."""

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator, PercentFormatter

from prunet.analysis.canvas import (
    STYLE,
    Styles,
    density_figure,
    layer_label,
    learning_curve_limits,
    legend,
    limit_to_shares,
    line_style,
    line_with_band,
    lines,
    new_figure,
    shades,
)

NAMED = 12  # layers that fit into a legend


def curves(table: pd.DataFrame, schemes: Styles, title: str) -> Figure:
    """Draw validation accuracy by epoch, a line for each scheme with its 95% confidence interval.

    At most 25 evaluations of a line have a marker.
    """
    figure, axes = new_figure(title)
    for rows, style in lines(table, "scheme", schemes):
        style |= {"markersize": 2.5, "markevery": -(-len(rows) // 25)}
        line_with_band(axes, rows["epoch"], rows["accuracy"], rows["accuracy_ci95"], **style)
    axes.set(xlabel="epoch", ylabel="validation accuracy", xlim=(0, None))
    limit_to_shares(axes)
    axes.set_ylim(learning_curve_limits(table))
    return legend(figure, axes)


def accuracy_by_density(summary: pd.DataFrame, schemes: Styles, title: str) -> Figure:
    """Draw test accuracy at the early stop by density, with 95% confidence intervals, and the dense line."""
    figure, axes = density_figure(summary, title)
    _draw_schemes(axes, summary, schemes, "accuracy")
    for accuracy in summary.loc[summary["scheme"] == "dense", "accuracy_mean"]:
        axes.axhline(accuracy, color="0.5", linewidth=0.8, zorder=0, label="dense")
    axes.set(ylabel="test accuracy at early stop")
    limit_to_shares(axes)
    return legend(figure, axes)


def early_stop_by_density(summary: pd.DataFrame, schemes: Styles, title: str) -> Figure:
    """Draw the step of the early stop by density, with 95% confidence intervals."""
    figure, axes = density_figure(summary, title)
    _draw_schemes(axes, summary, schemes, "early_stop_step")
    axes.set(ylabel="early stop (training step)", ylim=(0, None))
    return legend(figure, axes)


def barriers(table: pd.DataFrame, title: str) -> Figure:
    """Draw loss and error barriers by density, each on its own axis, with 95% confidence intervals.

    Runs from different steps have their own lines.
    """
    figure, axes = density_figure(table, title)
    with rc_context(STYLE):
        error_axes = axes.twinx()
    starts = list(table.groupby("start", sort=False))
    for number, (name, where) in enumerate({"loss": axes, "error": error_axes}.items()):
        for shift, (start, rows) in enumerate(starts):
            label = f"{name}, step {start}" if len(starts) > 1 else name
            style = line_style(number * len(starts) + shift) | {"label": label, "markersize": 3}
            line_with_band(where, rows["density"], rows[f"{name}_mean"], rows[f"{name}_ci95"], **style)
        where.set_ylim(0, None)
    axes.set_ylabel("loss barrier (nats, validation)")
    error_axes.set_ylabel("error barrier (validation)", fontsize=STYLE["font.size"])
    error_axes.spines["right"].set_visible(True)
    error_axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return legend(figure, axes, error_axes)


def layer_densities(table: pd.DataFrame, title: str) -> Figure:
    """Draw the density of every layer by round, on a logarithmic axis."""
    figure, axes = new_figure(title)
    layers = [column for column in table.columns if column != "round"]
    widths = np.linspace(5, 1, len(layers))  # thick to thin: lines that coincide stay visible
    every = -(-len(layers) // NAMED)
    named = {*layers[::every], layers[-1]}  # the shades of the others lie between these
    for layer, width, color in zip(layers, widths, shades(len(layers)), strict=True):
        label = layer_label(layer) if layer in named else None
        axes.plot(table["round"].astype(int), table[layer], color=color, linewidth=width, label=label)
    axes.set(xlabel="round", ylabel="density of the layer", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_minor_locator(NullLocator())
    return legend(figure, axes)


def _draw_schemes(axes: Axes, summary: pd.DataFrame, schemes: Styles, name: str) -> None:
    """Draw a line for each scheme; markers are hollow where the loss of most networks still falls."""
    for rows, style in lines(summary[summary["scheme"] != "dense"], "scheme", schemes):
        mean, half = rows[f"{name}_mean"], rows[f"{name}_ci95"]
        line_with_band(axes, rows["density"], mean, half, **style, markersize=3)
        falling = rows[rows["still_falling"] >= 0.5]
        axes.plot(
            *(falling["density"], falling[f"{name}_mean"]),
            **style | {"label": None, "linestyle": "none", "markerfacecolor": "white", "markersize": 3},
        )
    if (summary.loc[summary["scheme"] != "dense", "still_falling"] >= 0.5).any():
        axes.plot(
            [],
            [],
            "o",
            color="0.3",
            markerfacecolor="white",
            markersize=3,
            label="hollow: trained too briefly",
        )
