"""Stage `summarize`: the tables of a study."""

from pathlib import Path

import click

from prunet import params
from prunet.base import files
from prunet.reports import summary


@click.command()
@click.option(
    "--params", "params_file", type=click.Path(path_type=Path), default="params.yaml", show_default=True
)
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
@click.argument("plot_data", type=click.Path(path_type=Path))
def main(params_file: Path, models: Path, metrics: Path, plot_data: Path) -> None:
    """Gather the results of all cells below MODELS, the folder of one study.

    Writes to METRICS summary.csv (a row for each scheme and round), report.json (the headline scheme at the
    headline round) and rounds.json (the headline scheme at every round); to PLOT_DATA the curves that are
    plotted.
    """
    values = params.load(params_file)
    schemes, headline = values["prune"]["schemes"], values["report"]
    rounds = [entry["n"] for entry in values["prune"]["rounds"]]
    results = {
        (scheme, number): files.read_json(models / scheme / number / "result.json")
        for scheme in schemes
        for number in rounds
    }
    table = summary.summarize(results)
    by_round = {f"round_{number}": summary.headline(table, headline["scheme"], number) for number in rounds}
    files.write_json(metrics / "report.json", by_round[f"round_{headline['round']}"])
    files.write_json(metrics / "rounds.json", by_round)
    summary.write(metrics / "summary.csv", table)
    with files.replacing(plot_data) as partial:
        partial.mkdir()
        summary.write(partial / "curves.csv", summary.curves(results, schemes, headline["round"]))
        summary.write(partial / "accuracy.csv", summary.by_density(table, "accuracy_mean"))
        summary.write(partial / "early_stop.csv", summary.by_density(table, "early_stop_step_mean"))
        summary.write(partial / "layers.csv", summary.layer_densities(results, schemes[0]))


if __name__ == "__main__":
    main()
