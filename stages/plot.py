"""Stage `plot`: the figures of a study."""

from pathlib import Path

import click
import pandas as pd

from prunet.base import files
from prunet.reports import figures, summary


@click.command()
@click.option("--study", required=True, help="Name of the study, for the titles.")
@click.option("--round", "number", required=True, help="Round whose training curves are drawn, two digits.")
@click.argument("summary_csv", metavar="SUMMARY", type=click.Path(path_type=Path))
@click.argument("plot_data", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
def main(study: str, number: str, summary_csv: Path, plot_data: Path, output: Path) -> None:
    """Draw a study's figures from SUMMARY (summary.csv) and PLOT_DATA (what `summarize` wrote).

    OUTPUT gets curves.png (accuracy by epoch of all schemes at the round), accuracy.png and early_stop.png
    (by density) and layers.png (density of every layer by round).
    """
    table = summary.read(summary_csv)
    density = table.loc[table["round"] == number, "density"].iloc[0]
    drawn = {
        "curves": figures.curves(
            pd.read_csv(plot_data / "curves.csv"),
            f"{study}: {density:.1%} of the weights (round {int(number)})",
        ),
        "accuracy": figures.accuracy_by_density(table, f"{study}: accuracy by density"),
        "early_stop": figures.early_stop_by_density(table, f"{study}: early stop by density"),
        "layers": figures.layer_densities(
            pd.read_csv(plot_data / "layers.csv"), f"{study}: density of the layers"
        ),
    }
    with files.replacing(output) as partial:
        partial.mkdir()
        for name, figure in drawn.items():
            figures.save(figure, partial / f"{name}.png")


if __name__ == "__main__":
    main()
