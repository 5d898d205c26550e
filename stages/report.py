"""Command `report`: pages of all studies, and of revisions side by side."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from prunet.analysis.report import page, reading, revisions, words
from prunet.base.errors import InputError
from prunet.base.files import replacing
from prunet.config import params
from stages import report_page

OVERVIEW = Path("plots/index.html")


@click.command()
@click.argument("names", metavar="[REVISION]...", nargs=-1)
@click.option("--compare", is_flag=True, help="Lay revisions or experiments side by side.")
def main(names: tuple[str, ...], compare: bool) -> None:
    """Write the page of every study with results, also of the named studies, and plots/index.html over all.

    With --compare, write plots/STUDY/compare.html for the studies of this folder instead: from the results at
    each REVISION, which is a revision of git, an experiment of DVC or `workspace`. Nothing is trained.
    """
    if compare != bool(names):
        raise InputError(
            "Revisions are compared by --compare: python -m stages.report --compare HEAD workspace."
        )
    for path in compared(names) if compare else pages():
        click.echo(path)


def pages() -> list[Path]:
    """Write the page of every study, and the overview; return their paths."""
    entries, waiting, written = [], [], []
    for folder in [Path(), *sorted(path.parent for path in Path().glob("studies/*/study.yaml"))]:
        values = params.load(folder / "params.yaml")
        for name in values["studies"]:
            metrics, plots = folder / "metrics" / name, folder / "plots" / name
            title, output = f"{folder.name}: {name}".removeprefix(": "), plots / "report.html"
            try:
                found, images = params.report_params(values, name), folder / "data" / f"{name}.safetensors"
                source, own = folder / values["studies"][name]["data"]["source"], folder / report_page.OWN
                study = report_page.write(found, metrics, plots / "data", images, source, output, own)
                address = report_page.relative(output, OVERVIEW.parent)
                entries.append((title, study, address, revisions.commit(folder)))
                written.append(output)
            except InputError as error:
                waiting.append((title, error.message))
    if not written:
        raise InputError("No study has results yet; run `dvc repro`.")
    _write(OVERVIEW, page.overview(entries, waiting))
    return [*written, OVERVIEW]


def compared(names: Sequence[str]) -> list[Path]:
    """Write a page for each study that has results at all revisions; return the paths.

    Raises:
        InputError: a revision does not exist, is of another version of prunet, or lacks the results; or the
            revisions have no study in common.
    """
    with TemporaryDirectory() as scratch:
        folders = {name: revisions.extract(name, Path(scratch) / str(n)) for n, name in enumerate(names)}
        values = {name: _params(name, folder) for name, folder in folders.items()}
        common = [
            study
            for study in next(iter(values.values()))["studies"]
            if all(study in value["studies"] for value in values.values())
        ]
        if not common:
            raise InputError(f"{words.listed(list(names))} have no study in common; compare others.")
        return [_compare(study, folders, values) for study in common]


def _params(name: str, folder: Path) -> dict[str, Any]:
    try:
        return params.load(folder / "params.yaml")
    except InputError as error:
        raise InputError(f"Revision {name} cannot be compared: {error.message}") from None


def _compare(study: str, folders: dict[str, Path], values: dict[str, dict[str, Any]]) -> Path:
    output = Path("plots") / study / "compare.html"
    runs = [
        reading.read(
            params.report_params(values[name], study),
            folder / "metrics" / study,
            folder / "plots" / study / "data",
            name,
        )
        for name, folder in folders.items()
    ]
    title = f"{study}: {words.listed(list(folders))}"
    _write(output, page.study_page(runs, title, {}, page.differences(runs)))
    return output


def _write(path: Path, text: str) -> None:
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
