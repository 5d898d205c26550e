"""The cleaning page in a real browser: keys, hostile names, other windows, edits by hand."""

import time

import pytest

from prunet.data.faces import exclusion
from tests.toy_cleaning import HEADER, page_of, prepare, prepare_eight, serving, undecided
from tests.toy_faces import texture

pytestmark = pytest.mark.browser

MOVES = "label,image,reason,move_to\n"
# Labels that are folders' names, and urls, which are any text.
HOSTILE = ["<img src=x onerror=alert(1)>", "\"'><b>{{7*7}}", "مرحبا (x)", "<script>alert(1)", "&lt;i&gt;"]
HOSTILE_URLS = [
    "<script>alert(1)</script>",
    "../../../etc/passwd",
    "\u202egpj.exe",
    "'\"><svg onload=alert(1)>",
    "x",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    return prepare_eight(tmp_path_factory.mktemp("faces"))


@pytest.fixture
def folder(prepared):
    """The toy faces, with an empty exclude list; odd rows are boris, even ones ada."""
    return undecided(prepared)


def open_page(page, address):
    page.goto(address)
    page.wait_for_selector(".face.current")


def press(page, *keys):
    for key in keys:
        page.keyboard.press(key)


def until(page, condition):
    """Wait until a condition holds on the page, or a function here returns true."""
    for _ in range(200):
        if condition() if callable(condition) else page.evaluate(condition):
            return
        page.wait_for_timeout(20)
    raise AssertionError(condition)


def saved(page, folder, text):
    """Wait until the exclude list holds a text."""
    until(page, lambda: (folder / "exclude.csv").read_text() == text)


def number_of(page):
    """Return the row in the list of the selected face."""
    return page.evaluate("Number(faces[selected()].row)")


def go_to(page, row):
    press(page, "End")
    for _ in range(30):
        if number_of(page) == row:
            return
        press(page, "ArrowLeft")
    raise AssertionError(f"no face of row {row}")


def test_keys_alone_leave_out_undo_move_show_the_photo_and_finish(page, folder):
    with serving(page_of(folder)) as address:
        open_page(page, address)
        go_to(page, 1)
        press(page, "2")
        saved(page, folder, f"{HEADER}boris,{1:016x},blurred\n")
        press(page, "u")
        saved(page, folder, HEADER)
        press(page, "x")
        saved(page, folder, f"{HEADER}boris,{1:016x},wrong person\n")
        go_to(page, 4)
        press(page, "m")
        page.wait_for_selector("#move-dialog[open]")
        press(page, "b", "Enter")
        moved = f"{MOVES}boris,{1:016x},wrong person,\nada,{4:016x},wrong person,boris\n"
        saved(page, folder, moved)
        press(page, "Enter")
        page.wait_for_selector("#photo-dialog[open]")
        until(page, "find('photo').complete && find('photo').naturalWidth === 100")
        assert "https://host.example/4.jpg" in page.inner_text("#photo-caption")
        press(page, "Enter")
        page.wait_for_selector("#photo-dialog:not([open])", state="attached")
        until(page, "find('counts').textContent === '1 left out and 1 moved of 8 faces'")
        press(page, "d")
        page.wait_for_selector("#finish-dialog[open]")
        press(page, "Enter")
        page.wait_for_selector(".end")
        assert "dvc repro" in page.inner_text(".end")
        assert (folder / "exclude.csv").read_text() == moved


def test_quick_keys_act_in_turn(page, folder, monkeypatch):
    """On a slow disk: out, for another reason, and kept again."""
    write = exclusion.write
    monkeypatch.setattr(exclusion, "write", lambda *arguments: (time.sleep(0.1), write(*arguments)))
    with serving(page_of(folder)) as address:
        open_page(page, address)
        before = page.evaluate("revision")
        press(page, "x", "2", "x")
        until(page, f"revision === {before + 3}")
        assert (folder / "exclude.csv").read_text() == HEADER


def test_one_click_leaves_out_and_the_next_keeps(page, folder):
    with serving(page_of(folder)) as address:
        open_page(page, address)
        number = number_of(page)
        label = ("ada", "boris")[number % 2]
        page.click(".face.current .leave")
        saved(page, folder, f"{HEADER}{label},{number:016x},wrong person\n")
        until(page, "cells[current].classList.contains('out')")
        page.click(".face.current .leave")
        saved(page, folder, HEADER)


def test_the_page_fits_a_phone(page, folder):
    page.set_viewport_size({"width": 390, "height": 844})
    with serving(page_of(folder)) as address:
        open_page(page, address)
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_an_edit_by_hand_is_shown_and_never_overwritten(page, folder):
    by_hand = f"{HEADER}ada,{2:016x},by hand\n"
    with serving(page_of(folder)) as address:
        open_page(page, address)
        (folder / "exclude.csv").write_text(by_hand)
        page.wait_for_selector("#notice-changed")
        go_to(page, 1)
        press(page, "x")
        page.wait_for_selector("#notice-error")
        assert "was changed by somebody else" in page.inner_text("#notice-error")
        assert (folder / "exclude.csv").read_text() == by_hand
        page.click("#notice-changed button")
        page.wait_for_selector("#notice-changed", state="detached")
        until(page, "find('counts').textContent === '1 left out and 0 moved of 8 faces'")
        go_to(page, 1)
        press(page, "x")
        saved(page, folder, f"{by_hand}boris,{1:016x},wrong person\n")


def test_a_second_window_is_told_and_shows_what_the_first_decides(page, folder):
    with serving(page_of(folder)) as address:
        open_page(page, address)
        second = page.context.new_page()
        open_page(second, address)
        for window in (page, second):
            window.wait_for_selector("#notice-windows")
        assert "open in 2 windows" in second.inner_text("#notice-windows")
        go_to(page, 1)
        press(page, "x")
        until(second, "find('counts').textContent.startsWith('1 left out')")
        second.bring_to_front()
        go_to(second, 2)
        press(second, "x")
        both = f"{HEADER}boris,{1:016x},wrong person\nada,{2:016x},wrong person\n"
        saved(second, folder, both)
        second.close()
        page.wait_for_selector("#notice-windows", state="detached")


def test_a_missing_photo_and_a_missing_face_are_told(page, folder):
    served = page_of(folder)
    paths = [
        folder / "photos" / served.faces.rows[0]["photo"],
        folder / "crops" / served.faces.rows[0]["image"],
    ]
    contents = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    try:
        with serving(served) as address:
            open_page(page, address)
            go_to(page, 1)
            press(page, "Enter")
            until(page, "find('photo-caption').textContent.includes('run dvc repro')")
            page.wait_for_selector(".face.current.missing")
    finally:
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)


def test_a_program_that_ended_is_told(chromium, folder):
    window = chromium.new_context().new_page()
    with serving(page_of(folder)) as address:
        open_page(window, address)
    window.wait_for_selector("#notice-lost")
    press(window, "x")
    until(window, "find('notice-lost').textContent.startsWith('Not saved')")
    assert (folder / "exclude.csv").read_text() == HEADER
    window.context.close()


def test_hostile_names_are_shown_as_they_are_and_do_nothing(page, tmp_path):
    photos = [(label, texture(n)) for n, label in enumerate(HOSTILE * 2)]
    prepare(tmp_path, photos, HOSTILE_URLS * 2)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: asked.append(f"dialog {dialog.message}"))
    with serving(page_of(tmp_path)) as address:
        open_page(page, address)
        shown = page.evaluate("[...document.querySelectorAll('h2 > bdi')].map((name) => name.textContent)")
        assert set(HOSTILE) <= set(shown)
        for row in range(1, 6):
            go_to(page, row)
            url = page.inner_text("#panel .source")
            assert url == HOSTILE_URLS[row - 1].replace("\u202e", "\\u202e")
            press(page, "Enter")
            until(page, "find('photo').complete && find('photo').naturalWidth > 0")
            press(page, "Escape", "x")
            until(page, f"Boolean(decided[{row - 1}])")
        press(page, "m")
        page.wait_for_selector("#move-dialog[open]")
        assert set(page.evaluate("[...find('people').options].map((one) => one.value)")) == set(HOSTILE)
    assert all(url.startswith(address) or url == "data:," for url in asked), asked
    assert page.evaluate("document.querySelectorAll('#work script, #work svg, #work b, #work i').length") == 0
