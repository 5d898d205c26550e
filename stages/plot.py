"""Stage `plot`: the figures of a study."""

from pathlib import Path

import click

from prunet.analysis import canvas, figures, footprint_figures, summary
from prunet.base import files

# What the figures need of each table.
SUMMARY = ("scheme", "round", "density", "accuracy_mean", "early_stop_step_mean")
FOOTPRINT = ("round", "density", *footprint_figures.SIZES)
QUANTISED = ("density", "bits", "times_smaller", "accuracy", "accuracy_dense")


@click.command()
@click.option("--study", required=True, help="Name of the study, for the titles.")
@click.option("--round", "number", required=True, help="Round whose training curves are drawn, two digits.")
@click.argument("metrics", type=click.Path(path_type=Path))
@click.argument("plot_data", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(study: str, number: str, metrics: Path, plot_data: Path, output: Path) -> None:
    """Draw a study's figures from METRICS and PLOT_DATA, what `summarize` and `footprint` wrote.

    OUTPUT gets curves.png (accuracy by epoch of all schemes at the round), accuracy.png, early_stop.png,
    sizes.png and speedups.png (by density), layers.png (density of every layer by round) and codebooks.png
    (accuracy by size).
    """
    table = summary.read(metrics / "summary.csv", SUMMARY, [number])
    footprint = summary.read(metrics / "footprint.csv", FOOTPRINT)
    quantised = summary.read(metrics / "quantised.csv", QUANTISED)
    epochs = summary.read(plot_data / "curves.csv", ("epoch",))
    layers = summary.read(plot_data / "layers.csv", ("round",))
    density = table.loc[table["round"] == number, "density"].iloc[0]
    drawn = {
        "curves": figures.curves(
            epochs,
            f"{study}: {density:.1%} of the weights (round {int(number)})",
        ),
        "accuracy": figures.accuracy_by_density(table, f"{study}: accuracy by density"),
        "early_stop": figures.early_stop_by_density(table, f"{study}: early stop by density"),
        "layers": figures.layer_densities(layers, f"{study}: density of the layers"),
        "sizes": footprint_figures.sizes_by_density(footprint, f"{study}: size by density"),
        "speedups": footprint_figures.speedups_by_density(footprint, f"{study}: speed by density"),
        "codebooks": footprint_figures.accuracy_by_size(quantised, f"{study}: accuracy by size"),
    }
    with files.replacing(output) as partial:
        partial.mkdir()
        for name, figure in drawn.items():
            canvas.save(figure, partial / f"{name}.png")


if __name__ == "__main__":
    main()
