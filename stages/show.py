"""Print the table that a run ends with (not a DVC stage: it only reads)."""

from pathlib import Path

import click
import pandas as pd

from prunet.analysis import summary
from prunet.base import files
from prunet.base.options import PARAMS
from prunet.config import params
from prunet.deployment import latency

HEADER = f"{'study':<10}{'scheme':<16}{'density':>8}{'accuracy':>17}{'last step':>11}{'early stop':>12}"


@click.command()
@PARAMS
@click.argument("metrics", type=click.Path(path_type=Path), default="metrics")
def main(params_file: Path, metrics: Path) -> None:
    """Print the dense networks and every scheme at the reported round, from the summaries below METRICS.

    accuracy: on the test split at the early stop, mean over replicates and its 95% confidence interval;
    last step: the same at the end of training; early stop: the training step of the lowest validation loss.
    Then the sparsest winning tickets, and from which density on pruned networks are quicker than dense ones.
    """
    values = params.load(params_file)
    click.echo(HEADER)
    for study in values["studies"]:
        table = summary.read(metrics / study / "summary.csv")
        shown = table[(table["scheme"] == "dense") | (table["round"] == values["report"]["round"])]
        for _, row in shown.iterrows():
            spread = "" if pd.isna(row["accuracy_ci95"]) else f" ± {row['accuracy_ci95']:.1%}"
            click.echo(
                f"{study:<10}{row['scheme']:<16}{row['density']:>8.1%}{row['accuracy_mean']:>9.1%}{spread:<8}"
                f"{row['final_accuracy_mean']:>11.1%}{row['early_stop_step_mean']:>12.0f}"
            )
    for study in values["studies"] if "original" in values["prune"]["schemes"] else ():
        density = files.read_json(metrics / study / "report.json")["winning_density"]
        found = "none" if density is None else f"{density:.1%} of the weights"
        click.echo(f"Sparsest winning ticket of {study}: {found} (not worse and not later than dense).")
    for study in values["studies"]:
        rows = summary.read(metrics / study / "latency.csv").query("device == 'cpu'")
        found = {
            int(batch): latency.crossover(part.to_dict("records")) for batch, part in rows.groupby("batch")
        }
        click.echo(f"{study}: {latency.sentence(found)}")
    click.echo("Figures: plots/*/figures/*.png, plots/gallery/*.png. All rounds: metrics/*/summary.csv.")


if __name__ == "__main__":
    main()
