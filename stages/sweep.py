"""Stage `sweep`: accuracy and size of the dense networks as more and more of them goes. Optional."""

from functools import cache
from pathlib import Path

import click

from prunet.base import files
from prunet.base.options import PARAMS, STUDY
from prunet.base.processes import run_and_leave
from prunet.base.seeds import derive
from prunet.cells import storage as tickets
from prunet.config import params
from prunet.data import dataset
from prunet.pruning.rounds import Networks


@click.command()
@PARAMS
@STUDY
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("init", type=click.Path(path_type=Path))
@click.argument("dense", type=click.Path(path_type=Path))
@click.argument("metrics", type=click.Path(path_type=Path))
@click.argument("plots", type=click.Path(path_type=Path))
def main(
    params_file: Path, name: str, data: Path, init: Path, dense: Path, metrics: Path, plots: Path
) -> None:
    """Prune the networks DENSE once to every sparsity of `sweep`, and test them without training them again.

    DATA is the study's dataset file, INIT holds the weights at step 0. Writes METRICS (a CSV: accuracy over
    replicates and bytes of the compact file, by criterion and sparsity), and to PLOTS the two figures.
    """
    from prunet.analysis import canvas, summary, sweep, sweep_figures
    from prunet.deployment import compact, selection
    from prunet.training import evidence
    from prunet.training.cells import Study

    values, contents = params.load(params_file), dataset.load(data)
    settings, rules = values["sweep"], values["prune"]
    study = Study.of(values, name, contents, Path())  # which trains nothing
    weights, masks = tickets.load_network(dense)
    study.check_masks(masks)
    about = selection.about_study(values, name, contents)
    table = sweep.sweep(
        study,
        Networks(
            weights,
            masks,
            cache(lambda: tickets.load_weights(init)),
            cache(lambda: evidence.model(study, rules["criterion_images"])),
        ),
        settings["criteria"],
        settings["sparsities"],
        lambda pruned, mask: len(compact.dumps(pruned, mask, about)),
        output_rate_factor=1.0,
        leave_out=rules["layers"]["leave_out"],
        own_rate=[],
        scope="layer",
        empty_layers="keep-one",
        seed=derive(values["seed"], "sweep"),
    )
    summary.write(metrics, table)
    title = f"{name}: pruned once, not trained again"
    with files.replacing(plots) as partial:
        partial.mkdir()
        accuracy = sweep_figures.accuracy_by_sparsity(table, settings["published"], title)
        canvas.save(accuracy, partial / "accuracy.png")
        canvas.save(sweep_figures.bytes_by_sparsity(table, title), partial / "bytes.png")


if __name__ == "__main__":
    run_and_leave(main)
