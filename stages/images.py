"""Stage `images`: the dataset file of a study with another data set than faces."""

from pathlib import Path
from typing import Any

import click

from prunet.base.errors import InputError
from prunet.base.options import PARAMS, STUDY
from prunet.config import params
from prunet.data import dataset
from prunet.data.sets.folder import folder
from prunet.data.sets.optdigits import optdigits
from prunet.data.sets.published import TORCHVISION, published


@click.command()
@PARAMS
@STUDY
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="PRUNET_DATA",
    help="Folder that holds MNIST/raw, cifar-10-batches-py and the like; environment variable PRUNET_DATA.",
)
@click.argument("output", type=click.Path(path_type=Path))
def main(params_file: Path, name: str, root: Path | None, output: Path) -> None:
    """Write the images of a study as a dataset file, OUTPUT.

    The digits of optdigits come with scikit-learn; MNIST, its kin and CIFAR are looked for in --root, then
    downloaded; of the dataset `folder` they are the files in images.folder.
    """
    values = params.load(params_file)
    images, seed = values["images"], values["seed"]
    kind = params.study(values, name)["dataset"]
    data: dict[str, Any]
    if kind == "optdigits":
        data = optdigits(images["val"], images["test"], seed)
    elif kind == "folder":
        data = folder(*(images[key] for key in ("folder", "side", "memory", "val", "test")), seed)
    elif kind in TORCHVISION:
        places = [*([root] if root else []), Path(images["downloads"])]
        data = published(kind, places, images["val"], seed)
    else:
        raise InputError(f"study {name} has the data set {kind!r}, which other stages prepare.")
    dataset.save(output, **data)


if __name__ == "__main__":
    main()
