"""Stage `summarize`: the tables of a study."""

from pathlib import Path

import click

from prunet.analysis import comparisons, summary
from prunet.base import files
from prunet.base.options import PARAMS
from prunet.cells import results
from prunet.config import params


@click.command()
@PARAMS
@click.argument("models", type=click.Path(path_type=Path))
@click.argument("footprint_csv", metavar="FOOTPRINT", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
@click.argument("plot_data", type=click.Path(path_type=Path))
def main(params_file: Path, models: Path, footprint_csv: Path, metrics: Path, plot_data: Path) -> None:
    """Gather the results of all cells below MODELS, the folder of one study, and FOOTPRINT, what they cost.

    Writes to METRICS summary.csv (a row for the dense networks and for each scheme and round, with
    confidence intervals),
    comparisons.csv (paired differences from the dense networks and from new random values), report.json (the
    headline scheme at the headline round and its costs, and the density of the sparsest winning ticket) and
    rounds.json (the headline scheme at every round); to PLOT_DATA the curves that are plotted.
    """
    values = params.load(params_file)
    schemes, headline = values["prune"]["schemes"], values["report"]
    rounds = [entry["n"] for entry in values["prune"]["rounds"]]
    measured = {("dense", "00"): results.read(models / "dense" / "result.json")} | {
        (scheme, number): results.read(models / scheme / number / "result.json")
        for scheme in schemes
        for number in rounds
    }
    table, compared = summary.summarize(measured), comparisons.compare(measured)
    winner = comparisons.winning_ticket(compared)
    footprint = summary.read(footprint_csv, summary.COSTS, rounds)
    by_round = {
        f"round_{number}": summary.headline(table, headline["scheme"], number)
        | summary.footprint_headline(footprint, number)
        for number in rounds
    }
    winning = {"winning_density": None if winner is None else round(float(winner["density"]), 6)}
    files.write_json(metrics / "report.json", by_round[f"round_{headline['round']}"] | winning)
    files.write_json(metrics / "rounds.json", by_round)
    summary.write(metrics / "summary.csv", table)
    summary.write(metrics / "comparisons.csv", compared)
    with files.replacing(plot_data) as partial:
        partial.mkdir()
        summary.write(partial / "curves.csv", summary.curves(measured, schemes, headline["round"]))
        summary.write(partial / "accuracy.csv", summary.by_density(table, "accuracy_mean"))
        summary.write(partial / "early_stop.csv", summary.by_density(table, "early_stop_step_mean"))
        summary.write(partial / "layers.csv", summary.layer_densities(measured, schemes[0]))


if __name__ == "__main__":
    main()
