"""Stage `plot`: the figures of a study."""

from pathlib import Path
from typing import Any

import click

from prunet.analysis import canvas, figures, footprint_figures
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit

# Required columns of each table.
SUMMARY = ("scheme", "round", "density", "accuracy_mean", "early_stop_step_mean", "still_falling")
FOOTPRINT = ("round", "density", *footprint_figures.SIZES)
LATENCY = ("density", "form", "batch", "device", "ms_median", "ms_low", "ms_high")
QUANTISED = ("density", "bits", "times_smaller", "accuracy", "accuracy_dense")
CURVES = ("scheme", "epoch", "accuracy")


@click.command()
@PARAMS
@paths("metrics", "plot_data", "output")
def main(params: dict[str, Any], metrics: Path, plot_data: Path, output: Path) -> None:
    """Draw a study's figures from the tables in METRICS and PLOT_DATA.

    OUTPUT gets curves.png (validation accuracy by epoch at the headline round), accuracy.png, early_stop.png,
    sizes.png and speedups.png (by density), layers.png (layer densities by round) and codebooks.png (accuracy
    by size).
    """
    study, schemes, number = params["study"], params["schemes"], params["round"]
    table = tables.read(metrics / "summary.csv", SUMMARY, [number])
    epochs = tables.read(plot_data / "curves.csv", CURVES)
    layers = tables.read(plot_data / "layers.csv", ("round",))
    footprint = tables.read(metrics / "footprint.csv", FOOTPRINT)
    latency = tables.read(metrics / "latency.csv", LATENCY)
    quantised = tables.read(metrics / "quantised.csv", QUANTISED)
    density = table.loc[table["round"] == number, "density"].iloc[0]
    at_round = f"{study}: {density:.1%} of the weights (round {int(number)})"
    drawn = {
        "curves": figures.curves(epochs, schemes, at_round),
        "accuracy": figures.accuracy_by_density(table, schemes, f"{study}: accuracy by density"),
        "early_stop": figures.early_stop_by_density(table, schemes, f"{study}: early stop by density"),
        "layers": figures.layer_densities(layers, f"{study}: density of the layers"),
        "sizes": footprint_figures.sizes_by_density(footprint, f"{study}: size by density"),
        "speedups": footprint_figures.speedups_by_density(latency, f"{study}: speed by density"),
        "codebooks": footprint_figures.accuracy_by_size(quantised, f"{study}: accuracy by size"),
    }
    canvas.save_all(drawn, output)


if __name__ == "__main__":
    run_and_exit(main)
