"""Name the people on photos with a ticket (not a DVC stage: a tool)."""

from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import replacing, write_json, write_rows
from prunet.base.processes import run_and_leave
from prunet.data.faces import detection
from prunet.deployment import compact
from prunet.recognition import faces, pictures
from prunet.recognition.options import CSV, JSON
from prunet.recognition.tables import table

SHOWN = {
    "file": "<",
    "x": ">",
    "y": ">",
    "width": ">",
    "height": ">",
    "name": "<",
    "probability": ">",
    "": "<",
}


@click.command()
@click.option(
    "--keep",
    type=click.Choice(faces.KEEP),
    default="all",
    show_default=True,
    help="Which usable faces of a photo: all, the largest, the surest, or none unless it is the only one.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="A face whose likeliest name is less probable than this is unknown.  [default: the ticket's]",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="New folder for the photos with boxes and names drawn on them.",
)
@CSV
@JSON
@click.argument("ticket", type=click.Path(path_type=Path))
@click.argument("photos", type=click.Path(path_type=Path), nargs=-1, required=True)
def main(
    keep: str,
    threshold: float | None,
    output: Path | None,
    csv_file: Path | None,
    json_file: Path | None,
    ticket: Path,
    photos: tuple[Path, ...],
) -> None:
    """Name the people on PHOTOS with TICKET, the file of an exported ticket.

    PHOTOS are files, or folders that hold photos at any depth. Faces are found, cut out and made gray as
    they were for the data set that the ticket was trained on. The table has a line for each face: its box in
    pixels from the photo's top left corner, the name, and how probable it is; or a line that says why there
    is no face. The exit code is 0 if at least one photo could be read, else 2.
    """
    weights, _, about = compact.load(ticket)
    how = faces.settings(about, ticket)
    threshold = how["threshold"] if threshold is None else threshold
    sources = pictures.gather(photos)
    if output is not None and output.exists():
        raise InputError(f"{output} exists: name a new folder for the drawn photos, or remove it.")

    find = detection.detector()
    from prunet.deployment import inference

    model = inference.build(weights, about)
    seen, searching = faces.search(sources, find, how, keep)
    images = [image for _, look in seen for image in look.images]
    begin = perf_counter()
    answers = inference.classify(model, np.stack(images), about) if images else np.empty((0, 0), np.float32)
    naming = perf_counter() - begin

    results = faces.results(seen, answers, about["class_names"], threshold)
    rows = [row for photo in results for row in photo]
    for line in table(SHOWN, [shown(row) for row in rows]):
        click.echo(line)
    report(sources, rows, searching, naming)
    if csv_file is not None:
        write_rows(csv_file, faces.COLUMNS, rows)
    if json_file is not None:
        write_json(json_file, {"threshold": threshold, "keep": keep, "results": rows})
    if output is not None:
        with replacing(output) as partial:
            partial.mkdir()
            draw(partial, seen, results)


def shown(row: faces.Row) -> dict[str, Any]:
    """Return the cells of a row that the table shows; the last one, without a heading, is a remark."""
    if row["name"] is None:
        return {"file": row["file"], "": f"{row['status']}: {row['detail']}"}
    cells = {name: row[name] for name in SHOWN if name} | {"probability": f"{row['probability']:.1%}"}
    return cells | {"": f"likeliest: {row['likeliest']}" if row["name"] == faces.UNKNOWN else ""}


def draw(
    folder: Path, seen: Sequence[tuple[pictures.Source, faces.Look]], results: list[list[faces.Row]]
) -> None:
    """Write each photo that could be read into `folder`, with the names of its faces."""
    from prunet.recognition import drawing  # after TensorFlow, which starts slower beside matplotlib

    for (source, look), rows in zip(seen, results, strict=True):
        if look.status in detection.STATUSES:
            labels = [
                drawing.Label(
                    face.box, f"{row['name']} {row['probability']:.0%}", row["name"] != faces.UNKNOWN
                )
                for face, row in zip(look.faces, rows, strict=False)
            ]
            drawing.save(drawing.draw(pictures.load(source.path), labels), folder, source.name)


def report(
    sources: Sequence[pictures.Source], rows: list[faces.Row], searching: float, naming: float
) -> None:
    """Say on stderr how many photos and faces there were, and how long they took."""
    read = {row["file"] for row in rows if row["status"] in detection.STATUSES}
    named = [row for row in rows if row["name"] is not None]
    files = {row["file"] for row in rows}
    counts = {
        "photos": len(read),
        "faces": len(named),
        "unknown": sum(row["name"] == faces.UNKNOWN for row in named),
        "photos without a face": len(read) - len({row["file"] for row in named}),
        "unreadable files": len(files) - len(read),
        "other files": len(sources) - len(files),
    }
    click.echo(", ".join(f"{what}: {count}" for what, count in counts.items()), err=True)
    speed = f"Finding faces: {len(read) / searching:.1f} photos/s"
    click.echo(speed + (f"; naming: {len(named) / naming:.0f} faces/s." if named else "."), err=True)


if __name__ == "__main__":
    run_and_leave(main)
