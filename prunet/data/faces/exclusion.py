"""Exclude list: the faces that a person leaves out by hand, or moves to another person."""

import csv
import io
import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from prunet.base.files import read_rows, write_rows
from prunet.data.listing.spellings import normalised

COLUMNS = ("label", "image", "reason")
MOVE_TO = "move_to"  # optional fourth column
SHORTEST = 4  # digits of a name that a line may give
SHOWN = 6  # digits of a name on the sheets, or as many as tell all faces apart
DIGITS = re.compile(rf"[0-9a-f]{{{SHORTEST},16}}")
ROW = re.compile(r"#?[0-9]+")

Face = Mapping[str, str]  # row, label and image of the crops' manifest, and the photo's url in the list


class Line(NamedTuple):
    """One line of the exclude list."""

    label: str  # empty: of any label
    image: str
    reason: str
    move_to: str = ""  # the person whose face it is; empty: the face is left out

    def __str__(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow(self if self.move_to else self[:-1])
        return text.getvalue()


def read(path: Path) -> list[Line]:
    """Read the exclude list, a CSV file with the columns `COLUMNS` and perhaps `MOVE_TO`."""
    rows = [row | {MOVE_TO: row.get(MOVE_TO, "")} for row in read_rows(path, COLUMNS)]
    return [
        Line(
            normalised(row["label"]),
            _normalised(row["image"]),
            row["reason"].strip(),
            normalised(row[MOVE_TO]),
        )
        for row in rows
        if any(row[column].strip() for column in (*COLUMNS, MOVE_TO))
    ]


def write(path: Path, lines: Sequence[Line]) -> None:
    """Write an exclude list, whole or not at all; it has the column `MOVE_TO` only if a line needs it."""
    columns = (*COLUMNS, MOVE_TO) if any(line.move_to for line in lines) else COLUMNS
    rows = [line._asdict() for line in lines]
    write_rows(path, columns, [{column: row[column] for column in columns} for row in rows])


def find(lines: Sequence[Line], faces: Sequence[Face]) -> tuple[dict[str, Line], list[str]]:
    """Find the faces that the lines leave out or move to another person.

    A line finds a face of its label by the first digits of its name, or by the photo's address or file name
    in the list. Names follow from the photo's content, so that a line never finds another face when rows are
    added to the list or removed. A line that finds no face, or more than one, has no effect; nor has one that
    moves a face to someone without faces, or contradicts an earlier line.

    Args:
        lines: from `read`.
        faces: all faces.

    Returns:
        The line of each face that is left out or moved, by the face's row in the list (of several lines the
        first, with the first reason that is given); and a sentence about each line without effect.
    """
    decided: dict[str, Line] = {}
    problems = []
    for line in lines:
        found = named(line, faces)
        if len(found) == 1:
            earlier = decided.get(found[0]["row"], line)
            other = earlier.move_to != line.move_to
            fix = _wrong_move(line, found[0], faces) or (
                f"the earlier line {earlier} counts" if other else ""
            )
            if not fix:
                decided[found[0]["row"]] = earlier._replace(reason=earlier.reason or line.reason)
        else:
            fix = _several(found, line) if found else _closest(line, faces)
        if fix:
            problems.append(f"the line {line} has no effect: {fix}.")
    return decided, problems


def named(line: Line, faces: Sequence[Face]) -> list[Face]:
    """Return the faces that a line finds; it has an effect if there is exactly one."""
    return [face for face in faces if line.label in ("", face["label"]) and _names(line.image, face)]


def shown_digits(faces: Sequence[Face]) -> int:
    """Return how many first digits of the names tell all faces apart, at least `SHOWN`."""
    names = [_stem(face) for face in faces]
    return next(n for n in range(SHOWN, 17) if n == 16 or len({name[:n] for name in names}) == len(names))


def _stem(face: Face) -> str:
    return PurePosixPath(face["image"]).stem


def _normalised(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())


def _names(text: str, face: Face) -> bool:
    """Tell whether a text names a face; the empty text names none."""
    digits = text.removesuffix(".png")
    by_digits = DIGITS.fullmatch(digits) is not None and _stem(face).startswith(digits)
    return by_digits or text in _photo_names(face)


def _photo_names(face: Face) -> set[str]:
    """Return the address of a face's photo in the list, and its file name with and without a query."""
    url = _normalised(face["url"])
    return {
        name for name in (url, url.rsplit("/", 1)[-1], re.split("[?#]", url)[0].rsplit("/", 1)[-1]) if name
    }


def _several(found: Sequence[Face], line: Line) -> str:
    lines = "; ".join(str(line._replace(label=face["label"], image=_stem(face))) for face in found[:3])
    return f"it finds {len(found)} faces ({lines}{'; ...' if len(found) > 3 else ''}); write one of them"


def _wrong_move(line: Line, face: Face, faces: Sequence[Face]) -> str:
    """Explain why a face cannot be moved as a line says; return an empty string if it can or stays."""
    if line.move_to == face["label"]:
        return f"the face is already {line.move_to!r}"
    return _nobody(line.move_to, faces)


def _nobody(label: str, faces: Sequence[Face]) -> str:
    """Explain that no face has a label, unless the label is empty, and name the closest one."""
    labels = {face["label"] for face in faces}
    if label in ("", *labels):
        return ""
    close = _close(label, labels)
    return f"there is no face of {label!r}" + (f"; the closest is {close!r}" if close else "")


def _closest(line: Line, faces: Sequence[Face]) -> str:
    """Explain why a line finds no face, and say what its author may have meant."""
    if nobody := _nobody(line.label, faces):
        return nobody
    own = [face for face in faces if line.label in ("", face["label"])]
    if ROW.fullmatch(line.image):
        rows = {face["row"]: face for face in own}
        if face := rows.get(line.image.removeprefix("#")):
            return f"numbers of rows change with the list; write {_stem(face)} for the face of that row"
    others = [face["label"] for face in faces if _names(line.image, face)]
    if others:
        return f"that is a face of {others[0]!r}"
    digits = len(line.image) if DIGITS.fullmatch(line.image) else SHOWN
    close = _close(line.image, {_stem(face)[:digits] for face in own} | set().union(*map(_photo_names, own)))
    who = f" of {line.label!r}" if line.label else ""
    return f"there is no face{who} of that name" + (f"; the closest is {close}" if close else "")


def _close(text: str, choices: set[str]) -> str:
    folded = {choice.casefold(): choice for choice in sorted(choices)}
    close = get_close_matches(text.casefold(), folded, n=1, cutoff=0.5)
    return folded[close[0]] if close else ""
