"""The face stages as DVC runs them, from the drawn photos to a dense network."""

import json

import pytest

from tests.toy_pipeline import ran, sh, small_copy

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
