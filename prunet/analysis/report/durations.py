"""Run times of the stages whose results a page shows."""

from pathlib import Path
from typing import NamedTuple

from prunet.analysis.report.reading import Study
from prunet.base import times
from prunet.base.errors import InputError
from prunet.base.files import read_rows

# Every stage from which the page is made, in the order of the pipeline: those that studies share, those that
# only studies of faces need, and each study's own.
SHARED = ("check",)
OF_FACES = ("sample", "ingest", "crop", "resize", "strangers")
OWN = (
    *("images", "train", "prune", "retrain", "footprint", "summarize", "mistakes", "claims", "sweep"),
    *("sensitivity", "stability", "embed", "new-people", "compress"),
)


class Duration(NamedTuple):
    """Time of DVC's last runs of a stage: one run, or one of each round or scheme."""

    stage: str
    runs: int
    seconds: float
    day: str  # of the last one, in UTC


def read(study: Study, table: Path) -> list[Duration]:
    """Return how long each stage ran, from the table of times; nothing if there is none.

    Raises:
        InputError: the table is damaged.
    """
    rows = {row["stage"]: row for row in read_rows(table, times.COLUMNS)} if table.exists() else {}
    found = []
    for stage, names in _names(study).items():
        if ran := [rows[name] for name in names if name in rows]:
            try:
                seconds = sum(float(row["seconds"]) for row in ran)
            except ValueError:
                raise InputError(
                    f"{table} has a time of {stage} that is not a number; remove its row."
                ) from None
            found.append(Duration(stage, len(ran), seconds, max(row["ended"] for row in ran)[:10]))
    return found


def _names(study: Study) -> dict[str, list[str]]:
    """Return the names that DVC gives to the runs of each stage for a study."""
    settings = study.params["settings"]
    suffixes = {
        "prune": [f"-round{number}" for number in range(len(settings["prune"]["rounds"]))],
        "retrain": [f"-{scheme}" for scheme in study.params["schemes"]],
    }
    shared = (*SHARED, *OF_FACES) if study.is_of_faces else SHARED
    own = {stage: [f"{stage}@{study.name}{end}" for end in suffixes.get(stage, [""])] for stage in OWN}
    return {stage: [stage] for stage in shared} | own
