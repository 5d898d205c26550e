"""Stage `report`: the page of a study."""

import os
from pathlib import Path
from typing import Any

import click
import numpy as np
from ruamel.yaml import YAML

from prunet.analysis.report import page, pictures, reading
from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset

OWN = Path("study.yaml")  # of a named study: the parameters that differ from the checkout's


@click.command()
@PARAMS
@paths("metrics", "plot_data", "images", "output")
def main(params: dict[str, Any], metrics: Path, plot_data: Path, images: Path, output: Path) -> None:
    """Write OUTPUT, one HTML file, from the tables in METRICS and PLOT_DATA and the dataset file IMAGES.

    The page opens without a network connection. It shows images of each class: faces too, so it stays in
    DVC's cache, out of git.
    """
    write(params, metrics, plot_data, images, output, OWN)


def write(
    params: dict[str, Any], metrics: Path, plot_data: Path, images: Path, output: Path, own: Path
) -> reading.Study:
    """Write the page of a study, and return its tables.

    `own` is the study.yaml that it was composed from, which need not exist.

    Raises:
        InputError: the study has no results.
    """
    study = reading.read(params, metrics, plot_data)
    sheets, wrong, missing = [], [], []
    try:
        data = dataset.load(images)
        if isinstance(data["images"], np.ndarray):
            sheets, wrong = pictures.sheets(data), pictures.wrong(data, study.at_headline("mistakes"))
        else:
            missing.append(
                f"The images of {study.name} are too large for its dataset file, and are not shown."
            )
    except InputError as error:
        missing.append(f"Images are not shown: {error.message}")
    values = YAML(typ="safe").load(own.read_text("utf-8")) if own.exists() else {}
    text = page.study_page(
        [study],
        title=f"{own.resolve().parent.name}: {study.name}" if own.exists() else study.name,
        links=links([metrics, plot_data], output),
        changes=[(name, [value]) for name, value in page.flattened(values)],
        sheets=sheets,
        wrong=wrong,
        missing=missing,
    )
    with replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")
    return study


def links(folders: list[Path], output: Path) -> dict[str, str]:
    """Return the addresses of all tables in some folders, relative to the page."""
    found = sorted(path for folder in folders for path in folder.glob("*.csv"))
    return {path.name: relative(path, output.parent) for path in found}


def relative(path: Path, folder: Path) -> str:
    """Return the address of a file for a page in `folder`."""
    return Path(os.path.relpath(path, folder)).as_posix()


if __name__ == "__main__":
    run_and_exit(main)
