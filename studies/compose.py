"""Compose the DVC project of a named study from its study.yaml and the checkout's own project."""

import shutil
import sys
from pathlib import Path
from typing import Any

import click
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.config.params import read
from prunet.config.pruning import rounds

ROOT = Path(__file__).resolve().parent.parent
HEADER = (
    "# Composed from ../../params.yaml and study.yaml by `python -m studies.compose {name}`: edit those.\n"
)
OUTPUTS = (
    "# Outputs of DVC, and photos of your own with their list. Metrics, plot data and figures are in git.\n"
    "/data\n/models\n/exports\n/.checkpoints\n/photos\n/list.csv\n"
)


@click.command()
@click.argument("names", nargs=-1)
def main(names: tuple[str, ...]) -> None:
    """Compose the named studies NAMES, or all of them, from their study.yaml.

    Writes params.yaml (the checkout's values, replaced by those of study.yaml), dvc.yaml (a copy, since DVC
    does not follow links inside commits) and the other files of a DVC project.
    """
    for name in names or sorted(path.parent.name for path in ROOT.glob("studies/*/study.yaml")):
        folder = ROOT / "studies" / name
        if not (folder / "study.yaml").is_file():
            raise InputError(f"There is no study {name!r}: {folder / 'study.yaml'} does not exist.")
        write(folder / "params.yaml", HEADER.format(name=name) + OmegaConf.to_yaml(params(folder)))
        write(folder / "dvc.yaml", (ROOT / "dvc.yaml").read_text())
        write(folder / ".dvcignore", (ROOT / ".dvcignore").read_text())
        write(folder / ".gitignore", OUTPUTS)
        for file in (".gitignore", "config"):
            write(folder / ".dvc" / file, (ROOT / ".dvc" / file).read_text())
        shutil.copytree(ROOT / ".dvc" / "plots", folder / ".dvc" / "plots", dirs_exist_ok=True)
        for needed in ("data/images", "data/strangers", "networks"):  # DVC needs them, if empty
            (folder / needed).mkdir(parents=True, exist_ok=True)
        for link in ("prunet", "stages"):
            if not (folder / link).is_symlink():
                (folder / link).symlink_to(Path("../..") / link)


def params(folder: Path) -> DictConfig:
    """Return the params.yaml of a study.

    A study that the checkout's params.yaml does not have starts from its `digits`. `prune.rounds` may be a
    number: the rounds from 00 to that one.
    """
    try:
        values: Any = OmegaConf.create(read(ROOT / "params.yaml"))
        own: Any = OmegaConf.create(read(folder / "study.yaml"))
        if isinstance(own.get("prune", {}).get("rounds"), int):
            schedule = own.prune.get("schedule", values.prune.schedule)
            own.prune.rounds = rounds(own.prune.rounds + 1, schedule)
        default = values.studies
        values.studies = {name: default.get(name, default.digits) for name in own.studies}
        OmegaConf.set_struct(values, True)  # an unknown name is an error, except of layers and costs
        OmegaConf.set_struct(values.prune.target, False)
        for study in values.studies.values():
            OmegaConf.set_struct(study.layers.own_rate, False)
        merged = OmegaConf.merge(values, own)
    except (OmegaConfBaseException, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{folder / 'study.yaml'} does not fit params.yaml: {reason}") from None
    assert isinstance(merged, DictConfig)
    return merged


def write(path: Path, text: str) -> None:
    """Write a file, unless it has this text already: make compares modification times."""
    if path.is_symlink() or not path.is_file() or path.read_text() != text:
        if path.is_symlink():
            path.unlink()
        with replacing(path) as partial:
            partial.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
