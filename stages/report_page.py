"""Stage `report`: the page of a study."""

import os
from pathlib import Path
from typing import Any

import click
import numpy as np
from ruamel.yaml import YAML

from prunet.analysis.report import durations, page, pictures, reading
from prunet.base import times
from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.data.listing.manifests import GRAY_COLUMNS, read_manifest

OWN = Path("study.yaml")  # of a named study: the parameters that differ from the checkout's


@click.command()
@PARAMS
@paths("metrics", "plot_data", "images", "source", "output")
def main(
    params: dict[str, Any], metrics: Path, plot_data: Path, images: Path, source: Path, output: Path
) -> None:
    """Write OUTPUT, one HTML file, from the tables in METRICS and PLOT_DATA and the dataset file IMAGES.

    SOURCE is where the images come from: for a study of faces the folder of the stage resize, whose manifest
    has their doubts. The page opens without a network connection. It shows images of each class: faces too,
    so it stays in DVC's cache, out of git.
    """
    write(params, metrics, plot_data, images, source, output, OWN)


def write(
    params: dict[str, Any],
    metrics: Path,
    plot_data: Path,
    images: Path,
    source: Path,
    output: Path,
    own: Path,
) -> reading.Study:
    """Write the page of a study, and return its tables.

    `own` is the study.yaml that it was composed from, which need not exist.

    Raises:
        InputError: the study has no results.
    """
    study = reading.read(params, metrics, plot_data)
    shown, missing = illustrations(study, images, source)
    ran: list[durations.Duration] = []
    try:
        ran = durations.read(study, metrics.parent / times.TABLE.name)
    except InputError as error:
        missing.append(f"The time of each stage is not shown: {error.message}")
    values = YAML(typ="safe").load(own.read_text("utf-8")) if own.exists() else {}
    text = page.study_page(
        [study],
        title=f"{own.resolve().parent.name}: {study.name}" if own.exists() else study.name,
        links=links([metrics, plot_data], output),
        changes=[(name, [value]) for name, value in page.flattened(values)],
        durations=ran,
        missing=missing,
        **shown,
    )
    with replacing(output) as partial:
        partial.write_text(text, encoding="utf-8")
    return study


def illustrations(
    study: reading.Study, images: Path, source: Path
) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Return the pictures of `page.study_page` by argument, and a sentence for those that are missing."""
    try:
        data = dataset.load(images)
    except InputError as error:
        return {}, [f"Images are not shown: {error.message}"]
    if not isinstance(data["images"], np.ndarray):
        return {}, [f"The images of {study.name} are too large for its dataset file, and are not shown."]
    shown = {"sheets": pictures.sheets(data), "wrong": pictures.wrong(data, study.at_headline("mistakes"))}
    if not study.is_of_faces:
        return shown, []
    try:
        manifest = read_manifest(source, GRAY_COLUMNS)
    except InputError as error:
        return shown, [f"Doubtful faces are not shown: {error.message}"]
    return shown | {"doubtful": pictures.doubtful(data, manifest)}, []


def links(folders: list[Path], output: Path) -> dict[str, str]:
    """Return the addresses of all tables in some folders, relative to the page."""
    found = sorted(path for folder in folders for path in folder.glob("*.csv"))
    return {path.name: relative(path, output.parent) for path in found}


def relative(path: Path, folder: Path) -> str:
    """Return the address of a file for a page in `folder`."""
    return Path(os.path.relpath(path, folder)).as_posix()


if __name__ == "__main__":
    run_and_exit(main)
