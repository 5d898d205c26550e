"""Figures of the verification of new people."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import (
    density_figure,
    legend,
    limit_to_shares,
    line_style,
    line_with_band,
    new_figure,
)

# Label and line style of embeddings to compare with.
OTHERS = {"init": ("before training", "--"), "pixels": ("by pixels", ":"), "sface": ("by SFace", "-")}


def by_density(table: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy on trained people and true accepts of new people, by density, with 95% intervals.

    Args:
        table: from `new_people.measure`: the rows of one scheme, and of embeddings to compare with.
        title: of the figure.
    """
    own, others = table[table["density"].notna()], table[table["density"].isna()]
    figure, axes = density_figure(own, title)
    drawn = {"accuracy": "trained people", "true_accepts": "new people"}
    for number, (name, label) in enumerate(drawn.items()):
        style = line_style(number) | {"label": label, "markersize": 3}
        line_with_band(axes, own["density"], own[f"{name}_mean"], own[f"{name}_ci95"], **style)
    for _, row in others.iterrows():
        label, dashes = OTHERS[row["scheme"]]
        axes.axhline(row["true_accepts_mean"], color="0.5", linewidth=0.8, linestyle=dashes, label=label)
    axes.set(ylabel=f"accuracy, or true accepts\nat {own['false_accepts'].iloc[0]:.0%} false accepts")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    limit_to_shares(axes)
    return legend(figure, axes)


def roc(table: pd.DataFrame, title: str) -> Figure:
    """Draw true accepts by false accepts, on a logarithmic axis, a line for each scheme and density.

    Args:
        table: from `new_people.measure`.
        title: of the figure.
    """
    figure, axes = new_figure(title)
    groups = table.groupby(["scheme", "round"], sort=False, dropna=False)
    for number, ((scheme, _), rows) in enumerate(groups):
        density = rows["density"].iloc[0]
        label = str(scheme) if np.isnan(density) else f"{scheme}, {density:.1%}"
        style = line_style(number) | {"marker": None}
        axes.plot(rows["false_accepts"], rows["true_accepts"], label=label, **style)
    axes.set(
        xscale="log",
        xlabel="false accepts (pairs of two people)",
        ylabel="true accepts (pairs of one person)",
    )
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylim(0, 1.02)
    return legend(figure, axes)
