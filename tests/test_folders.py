"""Walks through folders with links."""

import pytest

from prunet.base.errors import InputError
from prunet.base.folders import walk

pytestmark = pytest.mark.field


def make(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def found(folder):
    return [path.relative_to(folder).as_posix() for path in walk(folder)]


def test_a_linked_folder_is_read_under_the_name_of_the_link(tmp_path):
    photos = tmp_path / "photos"
    make(tmp_path, "photos/ann/1.jpg", "disk/bob/2.jpg", "disk/bob/more/3.jpg", "disk/more of ann/4.jpg")
    (photos / "bob").symlink_to(tmp_path / "disk" / "bob")
    (photos / "ann" / "more").symlink_to("../../disk/more of ann")
    assert found(photos) == ["ann/1.jpg", "bob/2.jpg", "bob/more/3.jpg", "ann/more/4.jpg"]


def test_a_folder_that_is_itself_a_link_is_read(tmp_path):
    make(tmp_path, "disk/a/1.jpg")
    (tmp_path / "photos").symlink_to("disk")
    assert found(tmp_path / "photos") == ["a/1.jpg"]


def test_links_to_a_folder_above_them_end_the_walk_there(tmp_path):
    make(tmp_path, "photos/a/1.jpg", "disk/deep/2.jpg", "other.jpg")
    (tmp_path / "photos" / "a" / "up").symlink_to("..")
    (tmp_path / "photos" / "a" / "out").symlink_to(tmp_path)
    (tmp_path / "photos" / "a" / "self").symlink_to("self")
    (tmp_path / "photos" / "b").symlink_to("../disk")
    (tmp_path / "disk" / "deep" / "up").symlink_to("..")
    (tmp_path / "disk" / "deep" / "back").symlink_to("../../photos")
    files = ["a/1.jpg", "a/self", "b/deep/2.jpg"]
    assert found(tmp_path / "photos") == [*files, "a/out", "a/up", "b/deep/back", "b/deep/up"]


def test_a_folder_reached_twice_is_read_once_and_by_its_own_name(tmp_path):
    make(tmp_path, "photos/jon/1.jpg", "disk/all/deep/2.jpg")
    (tmp_path / "photos" / "a nickname of jon").symlink_to("jon")
    (tmp_path / "photos" / "x").symlink_to("../disk/all/deep")
    (tmp_path / "photos" / "y").symlink_to("../disk/all")
    assert found(tmp_path / "photos") == ["jon/1.jpg", "a nickname of jon", "x/2.jpg", "y/deep"]


def test_many_mutual_links_cost_no_more_than_the_folders(tmp_path):
    names = [f"{number:02}" for number in range(30)]
    make(tmp_path, *(f"{name}/1.jpg" for name in names))
    for name in names:
        for other in names:
            (tmp_path / name / f"to {other}").symlink_to(f"../{other}")
    paths = found(tmp_path)
    assert len(paths) == 30 + 30 * 30
    assert paths[:30] == [f"{name}/1.jpg" for name in names]


def test_hidden_names_are_skipped_and_broken_links_are_yielded(tmp_path):
    make(tmp_path, "a/1.jpg", ".cache/2.jpg", "a/.3.jpg")
    (tmp_path / "a" / ".linked").symlink_to("..")
    (tmp_path / "a" / "gone").symlink_to("nowhere")
    assert found(tmp_path) == ["a/1.jpg", "a/gone"]


def test_a_folder_that_is_missing_is_refused(tmp_path):
    with pytest.raises(InputError, match="gone cannot be read"):
        list(walk(tmp_path / "gone"))
