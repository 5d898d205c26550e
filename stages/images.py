"""Stage images: dataset file of a study."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click

from prunet.base.options import PARAMS, paths
from prunet.base.processes import run_and_exit
from prunet.data.images import dataset
from prunet.data.sets.folder import folder
from prunet.data.sets.optdigits import optdigits
from prunet.data.sets.people import people
from prunet.data.sets.published import TORCHVISION, published


@click.command()
@PARAMS
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="PRUNET_DATA",
    show_envvar=True,
    help="Folder that holds MNIST/raw, cifar-10-batches-py and so on; searched before data.downloads.",
)
@paths("output")
def main(params: dict[str, Any], root: Path | None, output: Path) -> None:
    """Write the images of a study as a dataset file, OUTPUT.

    PARAMS is a JSON file with the seed and the block `data` of the study. The set optdigits comes with
    scikit-learn; MNIST, its variants and CIFAR are downloaded unless a folder holds them; the sets `folder`
    and `faces` are read from data.source.
    """
    seed, data = params["seed"], params["data"]
    source, val, test = data["source"], data["val"], data["test"]
    folders = [*([root] if root else []), Path(data["downloads"])]
    doubts = data["near_duplicate_distance"], data["min_images"], data["doubtful"]
    sets: dict[str, Callable[[], dict[str, Any]]] = {
        "optdigits": lambda: optdigits(val, test, seed),
        "folder": lambda: folder(source, data["side"], data["memory"], val, test, *doubts, seed),
        "faces": lambda: people(Path(source), val, test, *doubts, seed),
        **{name: partial(published, name, folders, val, seed) for name in TORCHVISION},
    }
    dataset.save(output, **sets[data["set"]]())


if __name__ == "__main__":
    run_and_exit(main)
