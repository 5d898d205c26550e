"""Stage `digits`: the dataset file of a digit set."""

from pathlib import Path

import click

from prunet import digits
from prunet.base import dataset


@click.command()
@click.option(
    "--dataset",
    "name",
    type=click.Choice(["optdigits", *digits.TORCHVISION]),
    required=True,
    help="optdigits comes with scikit-learn; the others are looked for in --root, then downloaded.",
)
@click.option("--val", type=int, required=True, help="Images that choose (the early stop).")
@click.option(
    "--test", type=int, required=True, help="Images that test; optdigits only, the others have their own."
)
@click.option("--seed", type=int, required=True, help="Seed of the split.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="PRUNET_DATA",
    help="Folder that holds MNIST/raw and the like; environment variable PRUNET_DATA.",
)
@click.option(
    "--downloads",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for what is not in --root and has to be downloaded.",
)
@click.argument("output", type=click.Path(path_type=Path))
def main(name: str, val: int, test: int, seed: int, root: Path | None, downloads: Path, output: Path) -> None:
    """Write the digit set as a dataset file, OUTPUT."""
    if name == "optdigits":
        data = digits.optdigits(val, test, seed)
    else:
        data = digits.from_torchvision(name, [*([root] if root else []), downloads], val, seed)
    dataset.save(output, **data)


if __name__ == "__main__":
    main()
