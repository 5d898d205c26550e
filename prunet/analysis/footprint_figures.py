"""Figures of what pruning buys: size, speed, and size against accuracy."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)

from prunet.analysis.canvas import column, density_axes, legend, shades

SIZES: dict[str, tuple[str, dict[str, Any]]] = {
    "bytes_dense": ("dense, 32 bits a weight", {"color": "0.5", "linestyle": "-", "linewidth": 0.8}),
    "bytes_gzip": ("zeros and gzip", {"color": "#D55E00", "linestyle": "--", "marker": "s"}),
    "bytes_bound": ("bound", {"color": "black", "linestyle": ":"}),
    "bytes_ticket": ("ticket, lossless", {"color": "#0072B2", "linestyle": "-", "marker": "o"}),
}
MARKERS = "osv^D*"


def sizes_by_density(footprint: pd.DataFrame, title: str) -> Figure:
    """Draw the bytes on disk of every form by density, both logarithmic; `footprint.csv` has them."""
    figure, axes = density_axes(footprint, title)
    for name, (label, look) in SIZES.items():
        axes.plot(footprint["density"], footprint[name] / 1000, label=label, markersize=3, **look)
    axes.set(yscale="log", ylabel="size on disk (kB)")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda size, _: f"{size:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    return legend(figure, axes)


def speedups_by_density(footprint: pd.DataFrame, title: str) -> Figure:
    """Draw by density how many times as quick as dense PyTorch the best smaller or sparse form is."""
    figure, axes = density_axes(footprint, title)
    batches = [int(name.split("_")[-1]) for name in footprint.columns if name.startswith("ms_dense_")]
    for batch, color, marker in zip(batches, shades(len(batches)), MARKERS, strict=False):
        gained = footprint[f"ms_dense_{batch}"] / footprint[f"ms_best_{batch}"]
        label = "1 image" if batch == 1 else f"{batch} images"
        axes.plot(footprint["density"], gained, label=label, color=color, marker=marker, markersize=3)
    axes.axhline(1, color="0.5", linewidth=0.8, zorder=0)
    axes.set(yscale="log", ylabel="times as quick as dense")
    lowest, highest = axes.get_ylim()
    axes.set_ylim(min(lowest, 0.5), max(highest, 2))  # noise around 1 must look like noise
    axes.yaxis.set_major_locator(FixedLocator([0.2, 0.5, 1, 2, 5, 10, 20, 50]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda times, _: f"{times:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    return legend(figure, axes)


def accuracy_by_size(quantised: pd.DataFrame, title: str) -> Figure:
    """Draw test accuracy by size, a line for each codebook; `quantised.csv` has them, bits 32 is lossless."""
    figure, axes = column(title)
    widths = sorted(quantised["bits"].unique())
    for bits, color, marker in zip(widths, shades(len(widths)), MARKERS, strict=False):
        rows = quantised[quantised["bits"] == bits]
        label = "lossless" if bits == 32 else f"{bits} bits"
        axes.plot(
            rows["times_smaller"], rows["accuracy"], label=label, color=color, marker=marker, markersize=3
        )
    dense = quantised.loc[quantised["density"] == 1, "accuracy_dense"].iloc[0]
    axes.axhline(dense, color="0.5", linewidth=0.8, zorder=0, label="dense")
    axes.set(xscale="log", xlabel="times smaller than dense", ylabel="test accuracy")
    axes.xaxis.set_major_locator(FixedLocator([1, 2, 5, 10, 20, 50, 100, 200]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda times, _: f"{times:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=1))
    return legend(figure, axes)
