"""Figure of the sensitivity of layers to pruning."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from prunet.analysis.canvas import HEIGHT, layer_label, legend, limit_to_shares, line_style, new_figure

NAMED = 20  # layers whose names fit under the axis; of more, some are named


def accuracy_by_layer(table: pd.DataFrame, title: str) -> Figure:
    """Draw validation accuracy by the layer that is pruned, a line for each share of its units.

    Args:
        table: `layer`, `share`, `accuracy_mean`, `accuracy_ci95`; share 0 is the whole network.
        title: of the figure.
    """
    figure, axes = new_figure(title)
    layers = list(dict.fromkeys(table["layer"]))
    for number, (share, rows) in enumerate(table.groupby("share")):
        mean, half = rows["accuracy_mean"], rows["accuracy_ci95"]
        if share == 0:
            axes.axhline(mean.iloc[0], color="0.4", linestyle="--", linewidth=0.8, label="whole")
            continue
        style = line_style(number - 1) | {"label": f"without {share:.0%}", "markersize": 3}
        axes.errorbar(range(len(rows)), mean, half.fillna(0), elinewidth=0.8, **style)
    every = -(-len(layers) // NAMED)
    names = [layer_label(layer) for layer in layers[::every]]
    axes.set_xticks(range(0, len(layers), every), names, rotation=90, fontsize=6)
    axes.set(xlabel="layer that is pruned", ylabel="validation accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    limit_to_shares(axes)
    legend(figure, axes)
    figure.set_figheight(HEIGHT + 0.045 * max(map(len, names)))
    return figure
