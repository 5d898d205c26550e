"""Read handwritten digits with a ticket (a command-line tool, not a DVC stage)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import write_json, write_rows
from prunet.base.options import paths
from prunet.base.processes import run_and_exit
from prunet.data.images.decoding import Rejection
from prunet.deployment import compact, inference
from prunet.recognition import digits, pictures
from prunet.recognition.output import CSV, JSON, NETWORK, format_table, printable

COLUMNS = ("file", "status", "detail", "digit", "probability")
SHOWN = {"file": "<", "digit": "<", "probability": ">", "": "<"}

Row = dict[str, Any]


@click.command()
@NETWORK
@CSV
@JSON
@paths("ticket")
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
def main(
    network: str | None,
    csv_file: Path | None,
    json_file: Path | None,
    ticket: Path,
    images: tuple[Path, ...],
) -> None:
    """Read the digit on each of IMAGES with TICKET, the file of an exported ticket.

    IMAGES are files, or folders with images at any depth, of one digit each: dark on light or light on dark,
    of any size. They are normalised as the images of the ticket's data set were; a gray image of that size
    with light strokes on dark is used as it is. The exit code is 0 if at least one image could be read,
    else 2.
    """
    weights, _, metadata = compact.load(ticket, network)
    if metadata.get("faces") is not None:
        raise InputError(f"{ticket} is a ticket of faces; use `python -m stages.recognise`.")
    if metadata["preparation"]["shape"][0] != 1:
        raise InputError(f"{ticket} is a ticket of colour images; give one of a digit study.")
    rows, normalised = normalise_all(pictures.gather(images), metadata["preparation"]["stored"])
    if normalised:
        model = inference.build(weights, metadata)
        answers = inference.classify(model, np.stack(normalised)[:, None], metadata)
        for row, probabilities in zip([row for row in rows if row["status"] == "ok"], answers, strict=True):
            best = int(probabilities.argmax())
            row["digit"] = printable(metadata["class_names"][best])
            row["probability"] = round(float(probabilities[best]), 4)
    for line in format_table(SHOWN, [shown(row) for row in rows]):
        click.echo(line)
    click.echo(f"{len(normalised)} digits on {len(rows)} images.", err=True)
    if csv_file is not None:
        write_rows(csv_file, COLUMNS, rows)
    if json_file is not None:
        write_json(json_file, {"results": rows})


def normalise_all(sources: Sequence[pictures.Source], stored: int) -> tuple[list[Row], list[np.ndarray]]:
    """Return a row for each image, without its digit, and the (S, S) uint8 images whose status is `ok`."""
    rows, normalised = [], []
    for source, picture in pictures.load_all(sources):
        row = dict.fromkeys(COLUMNS) | {"file": printable(str(source.path))}
        if isinstance(picture, Rejection):
            rows.append(row | {"status": picture.status, "detail": printable(picture.detail)})
            continue
        image = digits.normalise(picture, stored)
        if image is None:
            rows.append(row | {"status": "blank", "detail": "The image is blank."})
            continue
        rows.append(row | {"status": "ok"})
        normalised.append(image)
    return rows, normalised


def shown(row: Row) -> dict[str, Any]:
    """Return the table cells of a row; the last column, without a heading, is a remark."""
    if row["digit"] is None:
        return {"file": row["file"], "": f"{row['status']}: {row['detail']}"}
    return {"file": row["file"], "digit": row["digit"], "probability": f"{row['probability']:.1%}"}


if __name__ == "__main__":
    run_and_exit(main)
