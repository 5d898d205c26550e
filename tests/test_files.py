import json

import pytest

from prunet.base import files
from prunet.base.errors import InputError


def test_replacing_leaves_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")

    def interrupted():
        with files.replacing(path) as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_replacing_replaces_a_folder_whole(tmp_path):
    path = tmp_path / "deep" / "out"
    for content in ("first", "second"):
        with files.replacing(path) as partial:
            partial.mkdir()
            (partial / content).write_text(content)
    assert [entry.name for entry in path.iterdir()] == ["second"]
    assert [entry.name for entry in path.parent.iterdir()] == ["out"]


def test_replacing_clears_what_a_kill_left_behind(tmp_path):
    path = tmp_path / "out"
    (tmp_path / "out.partial").mkdir()
    (tmp_path / "out.partial" / "stale").write_text("")
    with files.replacing(path) as partial:
        partial.mkdir()
    assert list(path.iterdir()) == []


def test_rows_come_back_as_written(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [{"a": "1", "b": 'x, "y"'}, {"a": "", "b": "zwei\nZeilen"}]
    files.write_rows(path, ["a", "b"], rows)
    assert files.read_rows(path, ["b", "a"]) == rows


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no column 'label' (its first line names: nothing)"),
        (b"name,url\nx,y\n", "no column 'label'"),
        (b"label,url\nx\n", "line 2: not 2 values"),
        (b"label,url\nx,y,z\n", "line 2: not 2 values"),
        ("label,url\nZoë,y\n".encode("latin-1"), "not UTF-8 text (byte 12)"),
        (b'label,url\n"x,y\n', "not CSV"),
    ],
)
def test_a_bad_table_is_named_in_one_sentence(tmp_path, content, says):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        files.read_rows(path, ["label", "url"])
    assert str(path) in error.value.message
    assert says in error.value.message
    assert error.value.exit_code == 2


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.csv does not exist"):
        files.read_rows(tmp_path / "gone.csv", [])


def test_json_has_no_nan_and_keeps_its_order(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, {"b": 1, "a": 2})
    assert list(json.loads(path.read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"b": 1, "a": 2}


@pytest.mark.parametrize("content", [b"{", b"\xff"])
def test_damaged_json_is_named(tmp_path, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"value.json is not JSON"):
        files.read_json(path)
    with pytest.raises(InputError, match=r"gone.json does not exist"):
        files.read_json(tmp_path / "gone.json")
