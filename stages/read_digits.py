"""Read handwritten digits with a ticket (not a DVC stage: a tool)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from prunet.base.errors import InputError
from prunet.base.files import write_json, write_rows
from prunet.base.processes import run_and_leave
from prunet.data.decoding import Rejection
from prunet.deployment import compact
from prunet.recognition import digits, pictures
from prunet.recognition.options import CSV, JSON
from prunet.recognition.tables import printable, table

COLUMNS = ("file", "status", "detail", "digit", "probability")
SHOWN = {"file": "<", "digit": "<", "probability": ">", "": "<"}

Row = dict[str, Any]


@click.command()
@CSV
@JSON
@click.argument("ticket", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
def main(csv_file: Path | None, json_file: Path | None, ticket: Path, images: tuple[Path, ...]) -> None:
    """Read the digit on each of IMAGES with TICKET, the file of an exported ticket.

    IMAGES are files, or folders that hold images at any depth, with one digit each: dark on light or light on
    dark, of any size. They become what the ticket's data set holds; a gray image of its size with light
    strokes on dark goes as it is. The exit code is 0 if at least one image could be read, else 2.
    """
    weights, _, about = compact.load(ticket)
    if about.get("faces") is not None:
        raise InputError(f"{ticket} is a ticket of faces: use `python -m stages.recognise`.")
    if about["preparation"]["shape"][0] != 1:
        raise InputError(f"{ticket} is a ticket of colour images: it reads no digits; give one that does.")
    rows, prepared = prepare(pictures.gather(images), about["preparation"]["stored"])
    if prepared:
        from prunet.deployment import inference

        answers = inference.classify(inference.build(weights, about), np.stack(prepared)[:, None], about)
        for row, probabilities in zip([row for row in rows if row["status"] == "ok"], answers, strict=True):
            best = int(probabilities.argmax())
            row["digit"] = printable(about["class_names"][best])
            row["probability"] = round(float(probabilities[best]), 4)
    for line in table(SHOWN, [shown(row) for row in rows]):
        click.echo(line)
    click.echo(f"{len(prepared)} digits on {len(rows)} images.", err=True)
    if csv_file is not None:
        write_rows(csv_file, COLUMNS, rows)
    if json_file is not None:
        write_json(json_file, {"results": rows})


def prepare(sources: Sequence[pictures.Source], stored: int) -> tuple[list[Row], list[np.ndarray]]:
    """Return a row for each image, without its digit yet, and those with the status `ok`, (S, S) uint8."""
    rows, prepared = [], []
    for source, picture in pictures.load_all(sources):
        row = dict.fromkeys(COLUMNS) | {"file": printable(str(source.path))}
        if isinstance(picture, Rejection):
            rows.append(row | {"status": picture.status, "detail": printable(picture.detail)})
            continue
        image = digits.normalised(picture, stored)
        if image is None:
            rows.append(row | {"status": "blank", "detail": "There is nothing on it."})
            continue
        rows.append(row | {"status": "ok"})
        prepared.append(image)
    return rows, prepared


def shown(row: Row) -> dict[str, Any]:
    """Return the cells of a row that the table shows; the last one, without a heading, is a remark."""
    if row["digit"] is None:
        return {"file": row["file"], "": f"{row['status']}: {row['detail']}"}
    return {"file": row["file"], "digit": row["digit"], "probability": f"{row['probability']:.1%}"}


if __name__ == "__main__":
    run_and_leave(main)
