import errno
import json
import os
import shutil
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from prunet.base import files
from prunet.base.errors import InputError


def write_half(path, end):
    """Begin to replace `path` and raise `end`."""
    with files.replacing(path) as partial:
        partial.write_text("half")
        raise end


def test_replacing_leaves_the_old_file_when_the_block_fails(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def write_folder(path, **contents):
    with files.replacing(path) as partial:
        partial.mkdir()
        for name, content in contents.items():
            (partial / name).write_text(content)


def test_replacing_replaces_a_folder_whole(tmp_path):
    path = tmp_path / "deep" / "out"
    write_folder(path, table="first", only_first="")
    write_folder(path, table="second")
    assert [entry.name for entry in path.iterdir()] == ["table"]
    assert (path / "table").read_text() == "second"
    assert [entry.name for entry in path.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("stale", ["stale", "killed/stale", "killed/out/stale"])
def test_replacing_removes_what_a_killed_writer_left(tmp_path, stale):
    path = tmp_path / "out"
    (tmp_path / "out.partial" / stale).parent.mkdir(parents=True)
    (tmp_path / "out.partial" / stale).write_text("")
    write_folder(path, table="")
    assert [str(entry.relative_to(tmp_path)) for entry in sorted(tmp_path.rglob("*"))] == ["out", "out/table"]


def test_a_killed_writer_leaves_the_old_file_and_the_next_writer_cleans_up(tmp_path):
    path = tmp_path / "out"
    path.write_text("old")
    child = os.fork()
    if child == 0:
        with files.replacing(path) as partial:
            partial.write_text("half")
            signal.raise_signal(signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == "old"
    assert list((tmp_path / "out.partial").iterdir())
    files.write_json(path, {})
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_between_the_two_renames_of_a_folder_loses_nothing(tmp_path):
    path = tmp_path / "out"
    write_folder(path, table="old")
    (tmp_path / "out.partial" / "killed").mkdir(parents=True)
    path.rename(tmp_path / "out.partial" / "killed" / "out.old")
    with pytest.raises(KeyboardInterrupt):
        write_half(path, KeyboardInterrupt())
    assert (path / "table").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_moved_to_its_path_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "out"
    write_folder(path, table="old")
    rename = Path.rename

    def refuse(source, target):
        if source.name == "out" and source.parent != tmp_path:
            raise OSError(errno.EIO, "Input/output error")
        return rename(source, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(InputError, match=r"out cannot be written \(Input/output error\)"):
        write_folder(path, table="new")
    assert (path / "table").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_at_the_same_time_do_not_interfere(tmp_path):
    """First two overlapping writers, then many at once."""
    path = tmp_path / "out"
    with files.replacing(path) as first:
        first.mkdir()
        write_folder(path, table="second")
        (first / "table").write_text("first")
    assert (path / "table").read_text() == "first"  # the later one

    def write_often(number):
        for _ in range(20):
            write_folder(path, table=str(number), same=str(number))
            files.write_json(tmp_path / "value.json", {"a": number})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write_often, range(4)))
    assert (path / "table").read_text() == (path / "same").read_text()
    assert files.read_json(tmp_path / "value.json")["a"] in range(4)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["out", "value.json"]


@pytest.mark.parametrize("name", ["photo.jpg", ".git", ".dvc"])
def test_a_folder_that_is_not_an_earlier_output_is_not_replaced(tmp_path, name):
    path = tmp_path / "holiday"
    path.mkdir()
    (path / name).write_text("precious")
    with pytest.raises(InputError, match=r"holiday .* replaced; .*choose another path"):
        write_folder(path, table="new")
    assert (path / name).read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_the_working_folder_the_home_and_the_folders_above_them_are_not_replaced(tmp_path, monkeypatch):
    work, home = tmp_path / "work" / "here", tmp_path / "home" / "me"
    for folder in (work, home):
        folder.mkdir(parents=True)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    for protected in (work, home, work.parent, home.parent, tmp_path / "work" / ".." / "home", Path("..")):
        with pytest.raises(InputError, match=r"is or contains .* never replaced"):
            write_folder(protected, table="")
    write_folder(work / "out", table="")


def test_a_link_to_a_folder_is_replaced_and_its_target_stays(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "photo.jpg").write_text("precious")
    (tmp_path / "out").symlink_to(kept)
    write_folder(tmp_path / "out", table="new")
    assert not (tmp_path / "out").is_symlink()
    assert (kept / "photo.jpg").read_text() == "precious"


def test_a_file_and_a_folder_do_not_replace_each_other(tmp_path):
    (tmp_path / "file").write_text("precious")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="file cannot be written"):
        write_folder(tmp_path / "file", table="")
    with pytest.raises(InputError, match="folder cannot be written"):
        files.write_json(tmp_path / "folder", {})
    assert (tmp_path / "file").read_text() == "precious"
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_failed_copy_is_reported_in_one_sentence(tmp_path):
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "broken").symlink_to("nothing")

    def copied():
        with files.replacing(tmp_path / "to") as partial:
            shutil.copytree(tmp_path / "from", partial)

    with pytest.raises(InputError, match=r"to cannot be written \(.*No such file.*\); fix this"):
        copied()


def test_a_bug_keeps_its_traceback(tmp_path):
    with pytest.raises(OSError, match="mode F"):
        write_half(tmp_path / "out", OSError("cannot write mode F as PNG"))


def test_rows_come_back_as_written(tmp_path):
    path = tmp_path / "rows.csv"
    rows = [{"a": "1", "b": 'x, "y"'}, {"a": "", "b": "zwei\nZeilen"}]
    files.write_rows(path, ["a", "b"], rows)
    assert files.read_rows(path, ["b", "a"]) == rows


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'label' (its first line names: nothing)"),
        (b"name,url\nx,y\n", "no column 'label'"),
        (b"label,url\nx\n", "line 2: not 2 values"),
        (b"label,url\nx,y,z\n", "line 2: not 2 values"),
        ("label,url\nZoë,y\n".encode("latin-1"), "not UTF-8 text (byte 12)"),
        (b'label,url\n"x,y\n', "not CSV"),
    ],
)
def test_a_malformed_csv_file_is_refused_in_one_sentence(tmp_path, content, message):
    path = tmp_path / "list.csv"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        files.read_rows(path, ["label", "url"])
    assert str(path) in error.value.message
    assert message in error.value.message
    assert error.value.exit_code == 2
    with pytest.raises(InputError, match=r"gone.csv does not exist"):
        files.read_rows(tmp_path / "gone.csv", [])


def test_json_refuses_nan_and_keeps_its_key_order(tmp_path):
    path = tmp_path / "value.json"
    files.write_json(path, {"b": 1, "a": 2})
    assert list(json.loads(path.read_text())) == ["b", "a"]
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"a": float("nan")})
    assert files.read_json(path) == {"b": 1, "a": 2}


@pytest.mark.parametrize(
    "content", [b"{", b"\xff", b"", b"NaN", b'{"a": Infinity}', b"[" * 100_000, b"9" * 5000]
)
def test_damaged_json_is_refused_by_name(tmp_path, content):
    path = tmp_path / "value.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"value.json is not JSON"):
        files.read_json(path)
    with pytest.raises(InputError, match=r"gone.json does not exist"):
        files.read_json(tmp_path / "gone.json")


@pytest.mark.parametrize("content", ["[]", "1", '{"a": 1}'])
def test_json_without_a_required_key_is_refused(tmp_path, content):
    (tmp_path / "value.json").write_text(content)
    with pytest.raises(InputError, match=r"value.json has no key 'b'"):
        files.read_json(tmp_path / "value.json", ["b"])


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        files.read_json(tmp_path)
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\)"):
        files.read_rows(tmp_path, [])
