"""Stage new-people: how well networks tell people apart whom they never saw. Optional."""

import math
from collections.abc import Callable, Iterator
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
from prunet.cells.masks import Weights
from prunet.data.faces.likeness import Vectors
from prunet.data.images import dataset
from prunet.deployment import inference, selection
from prunet.recognition import features, strangers


@click.command()
@PARAMS
@paths("data", "init", "dense", "cells", "faces", "output", "curves")
def main(
    params: dict[str, Any],
    data: Path,
    init: Path,
    dense: Path,
    cells: Path,
    faces: Path,
    output: Path,
    curves: Path,
) -> None:
    """Measure the networks of DENSE and CELLS on people whom they never saw, those of the file FACES.

    PARAMS is a JSON file with the study, how faces were found, the scheme and the rounds of CELLS, which has
    one cell for each round, the `headline` round, and the block `new_people` of params.yaml. DATA is the
    study's dataset file, FACES that of the stage strangers; faces count whose photo shows one and lies in the
    folder of a person. Writes OUTPUT, a CSV with a row for each round, and CURVES, the ROC curves of the
    dense networks, of the headline round and of the last. Both also have what the networks must be better
    than: themselves with the weights INIT before their training, and the pixels; and, where FACES has it, the
    pretrained embedding.
    """
    found = strangers.new_people(strangers.load(faces))
    metadata = selection.about_study(params["study"], params["finding"], dataset.load(data))
    scheme, rounds = params["scheme"], params["rounds"]
    folders = {("dense", "00"): dense} | {(scheme, number): cells / number for number in rounds}
    measured = [cell(*name, folder, found.images, metadata) for name, folder in folders.items()]
    measured += others(storage.load_weights(init), found, metadata)
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
        partial(embeddings, lambda: storage.load_network(folder)[0], images, metadata),
    )


def others(initial: Weights, found: strangers.Strangers, metadata: dict[str, Any]) -> Iterator[Cell]:
    """Yield embeddings to compare with, whose accuracy on the people of the study is not measured here."""
    count = len(next(iter(initial.values())))
    start = partial(embeddings, lambda: initial, found.images, metadata)
    yield Cell(new_people.INITIAL, "", math.nan, range(count), [math.nan] * count, start)
    for name, vectors in (
        (new_people.PIXELS, features.pixels(found.images)),
        (new_people.PRETRAINED, found.embeddings),
    ):
        if vectors is not None:
            yield Cell(name, "", math.nan, [0], [math.nan], partial(iter, [vectors]))


def embeddings(
    load: Callable[[], Weights], images: NDArray[np.uint8], metadata: dict[str, Any]
) -> Iterator[Vectors]:
    """Yield the embeddings of faces by each of some networks."""
    weights = load()
    for model in inference.build_all(weights, metadata):
        yield features.embedder(model, metadata)(images)


if __name__ == "__main__":
    run_and_exit(main)
