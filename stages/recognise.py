"""Name the people on photos with a ticket, or with enrolled people (a command-line tool, not a DVC stage)."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.data.faces import detection
from prunet.deployment import acceptance
from prunet.recognition import embeddings, naming, pictures, recogniser
from prunet.recognition.output import CSV, JSON, NETWORK, format_table

PLACE = ("x", "y", "width", "height")


@click.command()
@click.option(
    "--keep",
    type=click.Choice(naming.KEEP),
    default="all",
    show_default=True,
    help="Usable faces of a photo to name: all, the largest, the surest, or only one that is alone.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="A face whose likeliest name has a lower score than this is unknown.  [default: the file's]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="New folder for the photos with boxes and names drawn on them.",
)
@embeddings.TICKET
@NETWORK
@CSV
@JSON
@paths("known")
@click.argument("photos", type=click.Path(path_type=Path), nargs=-1, required=True)
def main(
    keep: str,
    threshold: float | None,
    output: Path | None,
    ticket: Path | None,
    network: str | None,
    csv_file: Path | None,
    json_file: Path | None,
    known: Path,
    photos: tuple[Path, ...],
) -> None:
    """Name the people on PHOTOS with KNOWN, the file of an exported ticket or of `stages.enrol`.

    PHOTOS are files, or folders with photos at any depth. Faces are detected and prepared as they were for
    the data set that the ticket was trained on, or for enrolment. The printed table has a line for each face:
    its box in pixels from the photo's top left corner, the name, and its probability (of enrolled people the
    likeness: the cosine of the embeddings, 0 to 1); or a line that says why there is no face. An unknown face
    has no name, so that a person may be called "unknown". People who were enrolled with the --embedding of a
    ticket need the same ticket here: their file has no network. The exit code is 0 if at least one photo
    could be read, else 2.

    Strangers can get a name: a ticket knows nobody but the people that it was trained on. The share of
    strangers that do is printed, if it was measured or estimated when the file was written.
    """
    own = recogniser.load(known, ticket, network)
    threshold = own.threshold if threshold is None else threshold
    sources = pictures.gather(photos)
    if output is not None and output.exists():
        raise InputError(f"{output} already exists; name a new folder for the annotated photos.")
    find = detection.detector()
    extracted, finding = naming.extract_all(sources, find, own.settings, keep, own.prepare)
    begin = perf_counter()
    inputs = [face for _, extraction in extracted for face in extraction.inputs]
    scores = own.score(np.stack(inputs)) if inputs else np.empty((0, len(own.names)), np.float32)
    results = naming.name_faces(extracted, own.names, scores, threshold, own.measure)
    classifying = perf_counter() - begin

    rows = [row for photo in results for row in photo]
    headings = {"file": "<"} | dict.fromkeys(PLACE, ">") | {"name": "<", own.measure: ">", "": "<"}
    for line in format_table(headings, [shown(row, own.measure) for row in rows]):
        click.echo(line)
    report(sources, rows, finding, classifying)
    if own.rates is not None:
        click.echo(own.describe(threshold), err=True)
    if csv_file is not None:
        write_rows(csv_file, naming.columns(own.measure), rows)
    if json_file is not None:
        rates = None if own.rates is None else acceptance.nearest(own.rates, threshold)
        write_json(json_file, {"threshold": threshold, "rates": rates, "keep": keep, "results": rows})
    if output is not None:
        from prunet.recognition.annotation import annotate  # TensorFlow starts more slowly after matplotlib

        with replacing(output) as partial:
            partial.mkdir()
            annotate(partial, extracted, results)


def shown(row: naming.Row, measure: str) -> dict[str, Any]:
    """Return the table cells of a row; the last column, without a heading, is a remark."""
    if row["known"] is None:
        return {"file": row["file"], "": f"{row['status']}: {row['detail']}"}
    cells = {name: row[name] for name in ("file", *PLACE, "name")}
    cells |= {measure: naming.score_text(row, decimals=1)}
    if row["known"]:
        return cells
    return cells | {"name": "", "": f"unknown; likeliest: {row['likeliest']}"}


def report(
    sources: Sequence[pictures.Source], rows: list[naming.Row], finding: float, classifying: float
) -> None:
    """Print to stderr the counts of photos and faces, and the speed of both steps from their seconds."""
    read = {row["file"] for row in rows if row["status"] in detection.STATUSES}
    faces = [row for row in rows if row["known"] is not None]
    files = {row["file"] for row in rows}
    counts = {
        "photos": len(read),
        "faces": len(faces),
        "unknown": sum(not row["known"] for row in faces),
        "photos without a face": len(read) - len({row["file"] for row in faces}),
        "unreadable files": len(files) - len(read),
        "other files": len(sources) - len(files),
    }
    click.echo(", ".join(f"{name}: {count}" for name, count in counts.items()), err=True)
    speed = f"Finding faces: {len(read) / finding:.1f} photos/s"
    click.echo(speed + (f"; naming: {len(faces) / classifying:.0f} faces/s." if faces else "."), err=True)


if __name__ == "__main__":
    run_and_exit(main)
