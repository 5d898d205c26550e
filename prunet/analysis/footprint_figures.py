"""Figures of the benefits of pruning: size on disk, speed, and accuracy by size."""

from itertools import cycle
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import MARKERS, density_figure, legend, new_figure, plain_log_ticks, shades
from prunet.deployment.crossover import BUSY, speedups

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


def speedups_by_density(latency: pd.DataFrame, title: str) -> Figure:
    """Draw the speedup of the fastest pruned form over the fastest dense one by density, from latency.csv.

    There is a line for each batch size; bars span the quartiles. The legend says so if the machine was busy.
    """
    timed = latency[latency["device"] == "cpu"]
    figure, axes = density_figure(timed, title)
    batches = sorted(timed["batch"].unique())
    for batch, style in zip(batches, _styles(len(batches)), strict=True):
        rows = timed[timed["batch"] == batch].to_dict("records")
        found = pd.DataFrame(speedups([{str(name): value for name, value in row.items()} for row in rows]))
        bars = [found["median"] - found["low"], found["high"] - found["median"]]
        label = "1 image" if batch == 1 else f"{batch} images"
        label += ", busy machine" if found["spread"].max() > BUSY else ""
        axes.errorbar(found["density"], found["median"], yerr=bars, label=label, capsize=2, **style)
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
