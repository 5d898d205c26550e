"""The face stages as DVC runs them, from the drawn photos to a dense network."""

import json

import pytest

from prunet.data.faces.cleaning.decisions import Decisions
from stages import clean
from tests.toy_faces import read_table
from tests.toy_pipeline import ROOT, ran, sh, small_copy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def miniature(tmp_path_factory):
    clone = tmp_path_factory.mktemp("clone") / "prunet"
    small_copy(clone)
    sh(clone, "dvc", "repro", "gallery", "train@faces")
    return clone


def test_every_row_of_the_list_is_accounted_for(miniature):
    rows = (miniature / "data" / "sample" / "list.csv").read_text().splitlines()
    counts = json.loads((miniature / "data" / "photos" / "counts.json").read_text())
    assert counts["rows"] == len(rows) - 1 == sum(counts.values()) - counts["rows"]
    assert (counts["duplicate"], counts["missing-file"], counts["broken-image"]) == (4, 1, 1)
    crops = json.loads((miniature / "data" / "crops" / "counts.json").read_text())
    assert sum(crops.values()) == counts["ok"]
    assert crops["no-face"] >= 4  # the photos of nobody


def test_the_gallery_is_drawn_and_networks_are_trained(miniature):
    assert (miniature / "plots" / "gallery" / "strip.png").read_bytes().startswith(b"\x89PNG")
    assert (miniature / "models/faces/dense/result.json").is_file()
    assert ran(sh(miniature, "dvc", "repro", "gallery", "train@faces")) == set()


@pytest.mark.field
def test_git_would_take_no_picture_of_a_person_and_no_list_of_a_study(miniature):
    for name in ("photos/ada/1.jpg", "faces.PNG", "data/lists/mine/2.webp", "scan.avif"):
        (miniature / name).parent.mkdir(parents=True, exist_ok=True)
        (miniature / name).touch()
    listed = sh(miniature, "git", "ls-files", "--cached", "--others", "--exclude-standard").splitlines()
    pictures = [name for name in listed if name.lower().endswith((".png", ".jpg", ".webp", ".avif"))]
    assert [name for name in pictures if not name.startswith("docs/")] == []
    faces = {path.name for path in (miniature / "data" / "gray").rglob("*.png")}
    assert faces
    assert not faces & {name.rpartition("/")[2] for name in listed}
    assert "data/sample/list.csv" not in listed


@pytest.mark.field
def test_a_face_moved_on_the_page_is_the_other_persons_after_the_next_run(miniature):
    data = miniature / "data"
    faces = clean.read(data / "photos", data / "crops", data / "contact-sheets")
    face = faces.rows[0]
    other = next(row["label"] for row in faces.rows if row["label"] != face["label"])
    Decisions(data / "lists" / "exclude.csv", faces.rows).move(face, other)
    assert "resize" in ran(sh(miniature, "dvc", "repro", "resize"))
    (moved,) = (row for row in read_table(data / "gray" / "manifest.csv") if row["crop"] == face["image"])
    assert (moved["label"], moved["status"]) == (other, "ok")
    assert (data / "gray" / moved["image"]).parent.name == other


def test_git_keeps_figures_of_results_and_no_other_pictures():
    tracked = sh(ROOT, "git", "ls-files").splitlines()
    pictures = [name for name in tracked if name.endswith(".png")]
    assert pictures
    folders = {"figures", "pareto", "sweep", "stability", "new_people", "docs"}
    assert {name.split("/")[-2] for name in pictures} <= folders
