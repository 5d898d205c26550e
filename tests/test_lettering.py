"""Names in the scripts of the world, drawn on pictures."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from prunet.data.faces import lettering
from prunet.recognition import annotation

pytestmark = pytest.mark.field

NAMES = ("José", "Ελένη", "Илья", "王小明", "さくら", "김민준", "ნინო", "Անի", "Zoë ☺")
joined = pytest.mark.skipif(not lettering.SHAPED, reason="Pillow finds no fribidi here")


def drawn(text, size=24):
    """Draw a text in black, and return its pixels, (H, W); 0 is paper."""
    image = Image.new("RGB", (lettering.width(text, size), lettering.height(size)), "white")
    lettering.draw(image, 0, 0, text, size, (0, 0, 0))
    return 255 - np.asarray(image.convert("L"))


@pytest.mark.parametrize("name", NAMES)
def test_letters_of_many_scripts_are_drawn_and_no_two_look_alike(name):
    assert lettering.is_exact(name)
    letters = [drawn(letter) for letter in sorted(set(name) - {" "})]
    assert all(letter.any() for letter in letters)
    assert not any(np.array_equal(*pair) for pair in combinations(letters, 2))


@pytest.mark.parametrize(
    ("name", "latin"), [("प्रिया", "priya"), ("சக்தி", "ckti"), ("ada प्रिया", "ada priya")]
)
def test_letters_that_no_font_has_are_spelt_in_latin_ones(name, latin):
    assert not lettering.is_exact(name)
    np.testing.assert_array_equal(drawn(name), drawn(latin))


@joined
def test_arabic_letters_join_and_leave_the_rest_of_the_line_in_order():
    name = "محمد علي"
    assert lettering.is_exact(name)
    assert lettering.width("محمد", 24) < sum(lettering.width(letter, 24) for letter in "محمد")
    line, word = drawn(f"{name},3f9a1c,2 faces"), drawn(name)
    np.testing.assert_array_equal(line[:, : word.shape[1]], word)
    np.testing.assert_array_equal(line[:, word.shape[1] :], drawn(",3f9a1c,2 faces"))
    first, last = (drawn(part).shape[1] for part in ("محمد", "علي"))
    np.testing.assert_array_equal(word[:, :last], drawn("علي"))  # the family name is on the left
    np.testing.assert_array_equal(word[:, -first:], drawn("محمد"))


@pytest.mark.parametrize("text", ["a name that is far too long", "王小明王小明王小明", "प्रिया" * 9])
def test_a_shortened_text_fits_and_says_so(text):
    short = lettering.shortened(text, 24, 120)
    assert short.endswith("…")
    assert lettering.width(short, 24) <= 120
    assert lettering.shortened("ada", 24, 120) == "ada"


@pytest.mark.parametrize(("one", "other"), [("王小明", "李小明"), ("김민준", "김서준"), ("प्रिया", "दीपा")])
def test_names_on_photos_tell_people_apart(one, other):
    photo, box = np.full((200, 300, 3), 90, np.uint8), (60.0, 80.0, 40.0, 40.0)
    first, second = (
        np.asarray(annotation.draw(photo, [annotation.Label(box, name, known=True)])) for name in (one, other)
    )
    assert not np.array_equal(first, second)
