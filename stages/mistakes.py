"""Stage `mistakes`: the confusion matrix of the test images, and those that networks get wrong."""

from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from prunet.analysis import canvas, confusion_figure, mistakes
from prunet.base import tables
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.cells import masks, storage
from prunet.data.images import dataset
from prunet.deployment import inference, selection
from prunet.training import streams


@click.command()
@PARAMS
@paths("data", "dense", "cells", "confusion", "wrong", "figure")
def main(
    params: dict[str, Any], data: Path, dense: Path, cells: Path, confusion: Path, wrong: Path, figure: Path
) -> None:
    """Classify the test images of the dataset DATA by the networks DENSE, and those of one round of CELLS.

    PARAMS is a JSON file with the study, how faces were found, and the scheme and the `round` of CELLS.
    Writes two CSV files: CONFUSION, how often images of a class got each name, and WRONG, the images that got
    another name than their own, by how many networks; `image` is the number of the image in DATA, and `file`
    its file, where it has one. FIGURE shows the confusion. The networks are those of the last step.
    """
    contents = dataset.load(data)
    metadata = selection.about_study(params["study"], params["finding"], contents)
    test = np.flatnonzero(contents["split"] == dataset.SPLITS.index("test"))
    images, labels = streams.choose(contents["images"], test), contents["labels"][test]
    cases = {("dense", "00"): dense, (params["scheme"], params["round"]): cells / params["round"]}
    counted, listed = [], []
    for (scheme, number), folder in cases.items():
        weights, kept = storage.load_network(folder)
        models = inference.build_all(weights, metadata)
        answers = np.stack([inference.classify(model, images, metadata).argmax(1) for model in models])
        own = {"scheme": scheme, "round": number, "density": masks.density(kept)}
        counted.append(mistakes.confusion(answers, labels, contents["class_names"]).assign(**own))
        listed.append(mistakes.wrong(answers, labels, contents["class_names"]).assign(**own))
    own_columns = ["scheme", "round", "density"]
    table, found = (pd.concat(parts, ignore_index=True) for parts in (counted, listed))
    found["image"] = test[found["image"]]
    files = contents["files"] or [""] * len(contents["labels"])
    found["file"] = [files[image] for image in found["image"]]
    for path, rows in ((confusion, table), (wrong, found)):
        tables.write(path, rows[[*own_columns, *rows.columns.drop(own_columns)]])
    title = f"{params['study']['name']}: names of the test images, % of each class"
    canvas.save(confusion_figure.confusion(table, title), figure)


if __name__ == "__main__":
    run_and_exit(main)
