"""Figures of the benefits of pruning: size on disk, speed, and accuracy by size."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import MARKERS, density_figure, legend, new_figure, plain_log_ticks, shades

SIZES: dict[str, dict[str, Any]] = {
    "bytes_dense": {"label": "dense, 32 bits per weight", "color": "0.5", "linestyle": "-", "linewidth": 0.8},
    "bytes_gzip": {"label": "zeros and gzip", "color": "#D55E00", "linestyle": "--", "marker": "s"},
    "bytes_bound": {"label": "mask entropy + values", "color": "black", "linestyle": ":"},
    "bytes_ticket": {"label": "ticket, lossless", "color": "#0072B2", "linestyle": "-", "marker": "o"},
}


def sizes_by_density(footprint: pd.DataFrame, title: str) -> Figure:
    """Draw the bytes on disk of every file format by density, both axes logarithmic; from footprint.csv."""
    figure, axes = density_figure(footprint, title)
    for name, style in SIZES.items():
        axes.plot(footprint["density"], footprint[name] / 1000, markersize=3, **style)
    axes.set(yscale="log", ylabel="size on disk (kB)")
    plain_log_ticks(axes.yaxis)
    return legend(figure, axes)


def speedups_by_density(footprint: pd.DataFrame, title: str) -> Figure:
    """Draw the speedup of the fastest pruned form over dense PyTorch by density, a line per batch size.

    Rounds that were not timed are left out.
    """
    figure, axes = density_figure(footprint, title)
    batches = [int(name.split("_")[-1]) for name in footprint.columns if name.startswith("ms_dense_")]
    for batch, style in zip(batches, _styles(len(batches)), strict=True):
        timed = footprint[footprint[f"ms_dense_{batch}"].notna()]
        speedup = timed[f"ms_dense_{batch}"] / timed[f"ms_best_{batch}"]
        label = "1 image" if batch == 1 else f"{batch} images"
        axes.plot(timed["density"], speedup, label=label, **style)
    axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
    axes.set(yscale="log", ylabel="speedup over dense")
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(lowest, 0.5), max(highest, 2))  # do not magnify noise around 1
    plain_log_ticks(axes.yaxis)
    return legend(figure, axes)


def accuracy_by_size(quantised: pd.DataFrame, title: str) -> Figure:
    """Draw test accuracy by size, a line for each codebook; from quantised.csv (32 bits: lossless)."""
    figure, axes = new_figure(title)
    widths = sorted(quantised["bits"].unique())
    for bits, style in zip(widths, _styles(len(widths)), strict=True):
        rows = quantised[quantised["bits"] == bits]
        label = "lossless" if bits == 32 else f"{bits} bits"
        axes.plot(rows["times_smaller"], rows["accuracy"], label=label, **style)
    dense = quantised.loc[quantised["density"] == 1, "accuracy_dense"].iloc[0]
    axes.axhline(dense, color="0.5", linewidth=0.8, zorder=0, label="dense")
    axes.set(xscale="log", xlabel="times smaller than dense", ylabel="test accuracy")
    plain_log_ticks(axes.xaxis)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return legend(figure, axes)


def _styles(count: int) -> list[dict[str, Any]]:
    return [
        {"color": color, "marker": marker, "markersize": 3}
        for color, marker in zip(shades(count), cycle(MARKERS), strict=False)
    ]
