"""Contact sheets, on which a person looks for wrong faces."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from prunet.data.faces import lettering
from prunet.data.faces.exclusion import Line
from prunet.data.faces.gray import scaled

COLUMNS = 8
CELL = 168  # pixels; fits a name of 16 hexadecimal digits
THUMBNAIL = 152  # pixels
LINE = 18  # pixels between lines of text
TITLE_HEIGHT = 92
MARGIN = 16
WIDTH = COLUMNS * CELL + MARGIN
AVAILABLE = WIDTH - 2 * MARGIN  # for a line of text
TITLE, HINT, NAME, NOTE = 24, 14, 15, 13  # sizes of letters

INK, FAINT, RED, PAPER = (20, 20, 20), (110, 110, 110), (200, 20, 20), (255, 255, 255)
ORANGE = (213, 94, 0)


class Entry(NamedTuple):
    """One face of a contact sheet."""

    image: NDArray[np.uint8]  # (H, W, 3), RGB
    name: str  # by which the exclude list knows the face
    row: str  # of the scraping list
    usable: int  # usable faces on its photo: if there are several, this one may be somebody else's
    doubt: float  # score of `doubts`; 0 if there is none
    reason: str | None  # why the face is left out or moved; None if it is kept


def contact_sheet(label: str, entries: Sequence[Entry], exclude: Path, lines: Path) -> NDArray[np.uint8]:
    """Draw all faces of one person, each above its name and its row of the list.

    Faces that are left out are crossed out in red. Faces from photos with several have an orange frame.

    Args:
        label: the person.
        entries: the faces.
        exclude: the exclude list, for the hint.
        lines: the file of lines to copy, for the hint.

    Returns:
        (H, W, 3) RGB, with eight faces in a row.
    """
    captions = [_caption(entry) for entry in entries]
    cell_height = THUMBNAIL + LINE * (max(map(len, captions)) + 1)  # the same for all, so that names line up
    rows = -(-len(entries) // COLUMNS)
    sheet = Image.new("RGB", (WIDTH, TITLE_HEIGHT + rows * cell_height), PAPER)
    lettering.draw(sheet, MARGIN, 8, _title(label, entries), TITLE, INK)
    lettering.draw(sheet, MARGIN, 42, _hint(label, entries[0].name, exclude), HINT, FAINT)
    legend = f"Orange: several faces on the photo, is it the right one? Lines to copy: {lines}"
    lettering.draw(sheet, MARGIN, 62, lettering.shortened(legend, HINT, AVAILABLE), HINT, FAINT)
    for number, (entry, caption) in enumerate(zip(entries, captions, strict=True)):
        row, column = divmod(number, COLUMNS)
        _draw_entry(sheet, MARGIN + column * CELL, TITLE_HEIGHT + row * cell_height, entry, caption)
    return np.array(sheet)


def doubtful_first(entries: Sequence[Entry]) -> list[Entry]:
    """Sort faces by their doubt, the greatest first; those without one follow, in the order of the list."""
    return sorted(entries, key=lambda entry: entry.doubt, reverse=True)


def _title(label: str, entries: Sequence[Entry]) -> str:
    excluded = sum(entry.reason is not None for entry in entries)
    counts = f": {len(entries)} faces, {len(entries) - excluded} kept, {excluded} left out"
    if any(entry.doubt for entry in entries):
        counts += "; most doubtful first"
    return lettering.shortened(label, TITLE, AVAILABLE - lettering.width(counts, TITLE)) + counts


def _hint(label: str, name: str, exclude: Path) -> str:
    """Return an example of a line for the exclude list; without the label if it cannot be typed as drawn."""
    start = f"To leave one out, add a line to {exclude}, such as "
    hint = f"{start}{Line(label, name, 'wrong person')}"
    if lettering.is_exact(label) and lettering.width(hint, HINT) <= AVAILABLE:
        return hint
    return lettering.shortened(f"{start}{Line('', name, 'wrong person')}", HINT, AVAILABLE)


def _caption(entry: Entry) -> list[tuple[str, int, lettering.Color]]:
    """Return the lines below a face: text, size and colour."""
    lines = [(entry.name, NAME, INK if entry.reason is None else RED), (f"row {entry.row}", NOTE, FAINT)]
    if entry.usable > 1:
        lines[1] = (f"row {entry.row}: {entry.usable} faces", NOTE, ORANGE)
    lines += [(line, NOTE, RED) for line in _two_lines(entry.reason or "") if line]
    return [(lettering.shortened(text, size, THUMBNAIL), size, color) for text, size, color in lines]


def _draw_entry(
    sheet: Image.Image,
    left: int,
    top: int,
    entry: Entry,
    caption: Sequence[tuple[str, int, lettering.Color]],
) -> None:
    draw = ImageDraw.Draw(sheet)
    right, bottom = left + THUMBNAIL - 1, top + THUMBNAIL - 1
    sheet.paste(Image.fromarray(scaled(entry.image, THUMBNAIL)), (left, top))
    if entry.usable > 1:
        draw.rectangle((left, top, right, bottom), outline=ORANGE, width=6)
    if entry.reason is not None:
        draw.line((left + 2, top + 2, right - 2, bottom - 2), RED, 4)
        draw.line((left + 2, bottom - 2, right - 2, top + 2), RED, 4)
        draw.rectangle((left, top, right, bottom), outline=RED, width=4)
    for number, (text, size, color) in enumerate(caption):
        lettering.draw(sheet, left, bottom + 3 + number * LINE, text, size, color)


def _two_lines(text: str) -> list[str]:
    """Break a text into two lines, the first at most as wide as a face if it has several words."""
    first: list[str] = []
    rest = text.split()
    while rest and (not first or lettering.width(" ".join([*first, rest[0]]), NOTE) <= THUMBNAIL):
        first.append(rest.pop(0))
    return [" ".join(words) for words in (first, rest)]
