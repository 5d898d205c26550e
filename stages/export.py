"""Stage export: one ticket in every deployable form."""

from pathlib import Path
from typing import Any

import click

from prunet.base import files
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.deployment import exporting, selection


@click.command()
@PARAMS
@paths("data", "dense", "cells", "output")
def main(params: dict[str, Any], data: Path, dense: Path, cells: Path, output: Path) -> None:
    """Export the network of one round and replicate from the folder CELLS to the folder OUTPUT.

    PARAMS is a JSON file with the study, the block `export` of params.yaml, and how faces were found. DATA is
    the study's dataset file, DENSE the cell of the unpruned networks; CELLS has one cell for each round.

    \b
    ticket.safetensors     mask and surviving values, lossless: for recognise and read_digits
    quantised.safetensors  the same with a codebook of 2^bits values for each layer, much smaller
    dense.onnx             the unpruned network that the ticket came from
    masked.onnx            the ticket, with zeros for its pruned weights
    shrunk.onnx            the ticket without unused features: smaller, with the same outputs
    about.json             the ticket's metadata; size and test accuracy of each file

    Every ONNX file is run on the test images and compared with PyTorch before OUTPUT is written.
    """
    chosen = params["export"]
    contents = dataset.load(data)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    own = metadata | {"scheme": chosen["scheme"], "round": chosen["round"]}
    ticket = selection.select(cells / chosen["round"], chosen["replicate"], own)
    unpruned, _, _ = selection.select(dense, chosen["replicate"], metadata)
    with files.replacing(output) as partial:
        partial.mkdir()
        exporting.export(partial, ticket, unpruned, contents, bits=chosen["bits"], known=chosen["known"])


if __name__ == "__main__":
    run_and_exit(main)
