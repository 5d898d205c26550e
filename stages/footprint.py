"""Stage footprint: bytes, memory and inference time of every round."""

from pathlib import Path
from typing import Any

import click
import pandas as pd

from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.deployment import measuring, selection
from prunet.training import streams


@click.command()
@PARAMS
@paths("data", "dense", "cells", "metrics")
def main(params: dict[str, Any], data: Path, dense: Path, cells: Path, metrics: Path) -> None:
    """Measure the first replicate of every round, and compare it with the unpruned network.

    PARAMS is a JSON file with the study, the scheme, the rounds, the block `footprint` of params.yaml, and
    how faces were found. DATA is the study's dataset file, DENSE the cell of the unpruned networks; CELLS has
    one cell for each round. Writes three tables to the folder METRICS: footprint.csv (bytes on disk, memory,
    operations and milliseconds of every round), latency.csv (times of every form and batch at the timed
    rounds, with quartiles) and quantised.csv (size against accuracy).
    """
    contents = dataset.load(data)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    test = contents["split"] == dataset.SPLITS.index("test")

    def select(number: str) -> selection.Ticket:
        return selection.select(cells / number, 0, metadata | {"scheme": params["scheme"], "round": number})

    measured = measuring.measure_rounds(
        select,
        params["rounds"],
        selection.select(dense, 0, metadata),
        streams.choose(contents["images"], test),
        contents["labels"][test],
        params["footprint"],
    )
    for name, rows in measured.items():
        tables.write(metrics / f"{name}.csv", pd.DataFrame(rows))


if __name__ == "__main__":
    run_and_exit(main)
