"""Stage new-people: how well networks tell people apart whom they never saw. Optional."""

import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from prunet.analysis import new_people
from prunet.analysis.new_people import Cell
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.base.seeds import derive
from prunet.cells import results, storage
from prunet.data.faces.likeness import Vectors
from prunet.data.images import dataset
from prunet.deployment import inference, selection
from prunet.recognition import features, strangers


@click.command()
@PARAMS
@paths("data", "dense", "cells", "faces", "output", "curves")
def main(
    params: dict[str, Any], data: Path, dense: Path, cells: Path, faces: Path, output: Path, curves: Path
) -> None:
    """Measure the networks of DENSE and CELLS on people whom they never saw, those of the file FACES.

    PARAMS is a JSON file with the study, how faces were found, the scheme and the rounds of CELLS, which has
    one cell for each round, the `headline` round, and the block `new_people` of params.yaml. DATA is the
    study's dataset file, FACES that of the stage strangers; faces count whose photo shows one and lies in the
    folder of a person. Writes OUTPUT, a CSV with a row for each round (of the pretrained embedding too, where
    FACES has it), and CURVES, the ROC curves of the dense networks, of the headline round and of the last.
    """
    found = strangers.new_people(strangers.load(faces))
    metadata = selection.about_study(params["study"], params["finding"], dataset.load(data))
    scheme, rounds = params["scheme"], params["rounds"]
    folders = {("dense", "00"): dense} | {(scheme, number): cells / number for number in rounds}
    measured = [cell(*name, folder, found.images, metadata) for name, folder in folders.items()]
    if (pretrained := found.embeddings) is not None:
        unknown = [math.nan]  # the stage embed measures the accuracy on the people of the study
        measured.append(Cell(new_people.PRETRAINED, "", math.nan, [0], unknown, lambda: iter([pretrained])))
    seed = derive(params["study"]["seed"], params["study"]["name"], "new people")
    table, every = new_people.measure(measured, found.people, params["new_people"], seed)
    shown = (every["scheme"] != scheme) | every["round"].isin([params["headline"], rounds[-1]])
    tables.write(output, table)
    tables.write(curves, every[shown])


def cell(scheme: str, number: str, folder: Path, images: NDArray[np.uint8], metadata: dict[str, Any]) -> Cell:
    """Return the networks of a folder."""
    result = results.read(folder / "result.json")
    networks = result["networks"]
    return Cell(
        scheme,
        number,
        result["density"],
        [network["replicate"] for network in networks],
        [network["final"]["test_accuracy"] for network in networks],
        partial(embeddings, folder, images, metadata),
    )


def embeddings(folder: Path, images: NDArray[np.uint8], metadata: dict[str, Any]) -> Iterator[Vectors]:
    """Yield the embeddings of faces by each network of a cell."""
    weights, _ = storage.load_network(folder)
    for model in inference.build_all(weights, metadata):
        yield features.embedder(model, metadata)(images)


if __name__ == "__main__":
    run_and_exit(main)
