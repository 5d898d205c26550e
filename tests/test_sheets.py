"""Pictures that a person looks at: contact sheets, and the grids of the gallery."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prunet.data.faces import lettering, sheets, strip
from prunet.data.faces.sheets import Entry, contact_sheet, doubtful_first
from prunet.data.faces.strip import save_strip

FACE = np.full((10, 10, 3), 60, np.uint8)


def entry(number, reason=None, usable=1, doubt=0.0):
    return Entry(FACE, f"{number:06x}", str(number), usable, doubt, reason)


def sheet(*entries, label="ada"):
    return contact_sheet(label, entries, Path("exclude.csv"), Path("sheets/lines.csv"))


def kept(number):
    return [entry(index) for index in range(number)]


def where(picture, color):
    """Return the columns in which a colour occurs, and the rows."""
    found = np.argwhere((picture == color).all(axis=2))
    return set(found[:, 1].tolist()), set(found[:, 0].tolist())


def cell(number):
    return set(range(sheets.MARGIN + number * sheets.CELL, sheets.MARGIN + (number + 1) * sheets.CELL))


def test_a_sheet_has_eight_faces_in_a_row():
    one, eight, nine = (sheet(*kept(number)) for number in (1, 8, 9))
    assert one.shape == eight.shape
    assert one.shape[1] >= sheets.COLUMNS * sheets.CELL
    assert nine.shape[0] - eight.shape[0] >= sheets.THUMBNAIL
    assert one.dtype == np.uint8
    assert (one[-1, -1] == sheets.PAPER).all()


def test_only_faces_that_are_left_out_are_crossed_out():
    plain = sheet(*kept(3))
    assert where(plain, sheets.RED) == (set(), set())
    faces = plain[sheets.TITLE_HEIGHT : sheets.TITLE_HEIGHT + sheets.THUMBNAIL]
    assert (faces == 60).all(axis=2).sum() == 3 * sheets.THUMBNAIL**2
    columns, _ = where(sheet(entry(0), entry(1, "wrong person"), entry(2)), sheets.RED)
    assert columns <= cell(1)
    assert where(sheet(entry(0, "")), sheets.RED)[0]  # also without a reason


def test_names_and_reasons_stay_in_their_cells():
    reason = "a reason that is far too long for two short lines below a face " * 3 + "x" * 200
    picture = sheet(entry(0, reason), entry(1))
    columns, rows = where(picture, sheets.RED)
    assert columns <= cell(0)
    assert max(rows) < len(picture) - 8


@pytest.mark.field
def test_a_face_from_a_photo_with_several_is_framed_and_its_caption_counts_them():
    columns, rows = where(sheet(entry(0), entry(1, usable=2), entry(2)), sheets.ORANGE)
    assert columns <= cell(1)
    assert min(rows) == sheets.TITLE_HEIGHT
    assert max(rows) > sheets.TITLE_HEIGHT + sheets.THUMBNAIL
    two, three = (sheet(entry(0, usable=number)) for number in (2, 3))
    assert not np.array_equal(two, three)


@pytest.mark.field
def test_doubtful_faces_come_first_and_the_others_in_the_order_of_the_list():
    faces = [entry(1), entry(2, doubt=0.2), entry(3, doubt=0.9), entry(4), entry(5, doubt=0.0)]
    assert [face.row for face in doubtful_first(faces)] == ["3", "2", "1", "4", "5"]
    title = slice(0, 40)
    assert not np.array_equal(sheet(entry(1))[title], sheet(entry(1, doubt=0.3))[title])


@pytest.mark.field
@pytest.mark.parametrize("label", ["王小明", "Ελένη", "x" * 64, "王" * 64, "Doe, Jane", "प्रिया"])
def test_the_example_of_a_line_is_whole_and_can_be_typed(label, monkeypatch):
    texts = []
    monkeypatch.setattr(lettering, "draw", lambda image, left, top, text, *_: texts.append(text))
    sheet(entry(0xABC), label=label)
    typed = {"Doe, Jane": '"Doe, Jane"', "प्रिया": "", "王" * 64: ""}.get(label, label)
    assert texts[1] == f"To leave one out, add a line to exclude.csv, such as {typed},000abc,wrong person"
    for text, size in zip(texts, (sheets.TITLE, sheets.HINT, sheets.HINT), strict=False):
        assert lettering.width(text, size) <= sheets.AVAILABLE


def gallery(path, *names, images=3, columns=8):
    people = {name: [FACE] * images for name in names}
    save_strip(path, people, columns, [], "people")
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def test_equal_images_give_equal_bytes_of_a_strip(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    people = {"ada": [colour, colour[..., 0]], "boris": [colour]}  # a row may be shorter
    for name in ("a.png", "b.png"):
        save_strip(tmp_path / name, people, 2, ["x", "y"], "toy")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.field
@pytest.mark.parametrize("number", [1, 2, 10])
def test_every_row_of_a_strip_has_a_name_beside_its_images(tmp_path, number):
    names = ["a name of sixty-four letters, which is what a label may have " + "x" * 3, "王小明", "प्रिया"]
    names += [f"person {index}" for index in range(number)]
    picture = gallery(tmp_path / "people.png", *names[:number])
    _, image_rows = where(picture[:, strip.NAMES :], (60, 60, 60))
    columns, name_rows = where(picture[min(image_rows) :, : strip.NAMES], strip.INK)
    assert max(columns) < strip.NAMES - strip.GAP
    rows = np.array(sorted(name_rows))
    assert len(np.flatnonzero(np.diff(rows) > 40)) == number - 1  # a name, a gap, a name, ...
