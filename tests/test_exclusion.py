"""The list of faces that a person leaves out: what a line may say, and what is answered to a wrong one."""

import pytest

from prunet.base.errors import InputError
from prunet.data.faces import exclusion
from prunet.data.faces.exclusion import Line

pytestmark = pytest.mark.field

ADA, ADA_2, ADA_3, BORIS, WANG = (
    {"row": row, "label": label, "image": f"{label}/{name}.png", "url": url}
    for row, label, name, url in (
        ("3", "Ada L", "3f9a1c0000000000", "https://host.example/pictures/one.jpg?width=800"),
        ("4", "Ada L", "3f9a1d0000000000", "ada/caf\u0065\u0301 (2).jpg"),
        ("5", "Ada L", "1234567890abcdef", "ada/one.jpg"),
        ("7", "boris", "beef000000000000", "boris/one.jpg"),
        ("12", "王小明", "0011223344556677", "wang/0.png"),
    )
)
FACES = [ADA, ADA_2, ADA_3, BORIS, WANG]


def found(*lines, faces=FACES):
    decided, problems = exclusion.find([Line(*line) for line in lines], faces)
    assert problems == []
    return {row: line.reason for row, line in decided.items()}


def problem(label, image, move_to="", faces=FACES):
    decided, problems = exclusion.find([Line(label, image, "why", move_to)], faces)
    assert decided == {}
    start = f"the line {Line(label, image, 'why', move_to)} has no effect: "
    assert problems[0].startswith(start)
    assert "\n" not in problems[0]
    return problems[0].removeprefix(start)


@pytest.mark.parametrize(
    ("label", "image", "row"),
    [
        ("Ada L", "3f9a1c", "3"),
        ("Ada L", "3f9a1d0000000000", "4"),
        ("Ada L", "3f9a1d0000000000.png", "4"),
        ("Ada L", "1234", "5"),
        ("Ada L", "https://host.example/pictures/one.jpg?width=800", "3"),
        ("Ada L", "one.jpg?width=800", "3"),
        ("Ada L", "caf\u00e9 (2).jpg", "4"),
        ("boris", "one.jpg", "7"),
        ("", "boris/one.jpg", "7"),
        ("", "001122", "12"),
    ],
)
def test_a_line_names_a_face_by_digits_or_by_its_photo(label, image, row):
    assert found((label, image, "why")) == {row: "why"}


def test_a_line_finds_the_same_face_after_rows_were_added_and_removed():
    lines = [("Ada L", "3f9a1d", "blurred"), ("Ada L", "one.jpg?width=800", "is boris")]
    moved = [face | {"row": str(int(face["row"]) + 10)} for face in FACES if face is not ADA_3]
    assert found(*lines) == {"4": "blurred", "3": "is boris"}
    assert found(*lines, faces=moved) == {"14": "blurred", "13": "is boris"}


def test_two_lines_about_one_face_are_one_with_the_first_reason():
    assert found(("Ada L", "3f9a1c", ""), ("", "3f9a1c", "dark"), ("Ada L", "3f9a1c", "old")) == {"3": "dark"}


@pytest.mark.parametrize(
    ("label", "image", "answer"),
    [
        (
            "Ada L",
            "3f9a",
            "it finds 2 faces (Ada L,3f9a1c0000000000,why; Ada L,3f9a1d0000000000,why); write one of them.",
        ),
        (
            "Ada L",
            "one.jpg",
            "it finds 2 faces (Ada L,3f9a1c0000000000,why; Ada L,1234567890abcdef,why); write one of them.",
        ),
        ("Ada L", "beef00", "that is a face of 'boris'."),
        ("ada l", "3f9a1c", "there is no face of 'ada l'; the closest is 'Ada L'."),
        ("nobody", "3f9a1c", "there is no face of 'nobody'."),
        ("Ada L", "3f9a1e", "there is no face of 'Ada L' of that name; the closest is 3f9a1d."),
        (
            "Ada L",
            "cafe 2.jpg",
            "there is no face of 'Ada L' of that name; the closest is caf\u00e9 (2).jpg.",
        ),
        ("Ada L", "3f9", "there is no face of 'Ada L' of that name; the closest is 3f9a1d."),
        ("Ada L", "", "there is no face of 'Ada L' of that name."),
        ("", "feed", "there is no face of that name; the closest is beef."),
        ("boris", "zzz", "there is no face of 'boris' of that name."),
    ],
)
def test_a_line_without_effect_is_answered_with_what_it_may_mean(label, image, answer):
    assert problem(label, image) == answer


@pytest.mark.parametrize(
    ("move_to", "answer"),
    [
        ("Boris", "there is no face of 'Boris'; the closest is 'boris'."),
        ("Ada L", "the face is already 'Ada L'."),
    ],
)
def test_a_face_moves_only_to_another_person_with_faces(move_to, answer):
    assert problem("Ada L", "3f9a1c", move_to) == answer
    line = Line("Ada L", "3f9a1c", "is boris", "boris")
    assert exclusion.find([line], FACES) == ({"3": line}, [])


def test_a_line_that_contradicts_an_earlier_one_has_no_effect():
    lines = [Line("Ada L", "3f9a1c", "", "boris"), Line("", "3f9a1c", "blurred")]
    assert exclusion.find(lines, FACES) == (
        {"3": lines[0]},
        ["the line ,3f9a1c,blurred has no effect: the earlier line Ada L,3f9a1c,,boris counts."],
    )


@pytest.mark.parametrize("move_to", ["", "boris"])
def test_a_list_that_is_written_and_read_is_the_same_and_has_a_fourth_column_only_for_moves(
    tmp_path, move_to
):
    lines = [Line('Doe, "J"', "beef", "wrong, face"), Line("Ada L", "3f9a1c", "", move_to)]
    exclusion.write(tmp_path / "exclude.csv", lines)
    assert exclusion.read(tmp_path / "exclude.csv") == lines
    header = (tmp_path / "exclude.csv").read_text().splitlines()[0]
    assert header == ("label,image,reason,move_to" if move_to else "label,image,reason")


@pytest.mark.parametrize("image", ["4", "#4"])
def test_a_row_of_the_list_is_not_a_name_and_the_answer_has_the_name(image):
    answer = "numbers of rows change with the list; write 3f9a1d0000000000 for the face of that row."
    assert problem("Ada L", image) == answer


def test_the_digits_on_the_sheets_tell_all_faces_apart():
    assert exclusion.shown_digits(FACES) == 6
    assert exclusion.shown_digits([*FACES, WANG | {"image": "王小明/3f9a1c0100000000.png"}]) == 8
    assert exclusion.shown_digits(FACES[:1]) == 6


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spaces_line_ends_and_empty_lines_change_nothing(tmp_path, end):
    path = tmp_path / "exclude.csv"
    lines = [
        "\ufefflabel,image,reason",
        " Ada L , 3f9a1c ,  dark",
        "",
        ",,",
        '"Doe, Jane",beef,"wrong, face"',
    ]
    path.write_bytes((end.join(lines) + end).encode())
    assert exclusion.read(path) == [Line("Ada L", "3f9a1c", "dark"), Line("Doe, Jane", "beef", "wrong, face")]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_another_separator_than_a_comma_is_refused_in_one_sentence(tmp_path, separator):
    path = tmp_path / "exclude.csv"
    path.write_text(separator.join(["label", "image", "reason"]) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="comma") as refusal:
        exclusion.read(path)
    assert "\n" not in str(refusal.value)
