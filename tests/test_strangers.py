"""The stage strangers on toy photos."""

import json

import numpy as np
import pytest

from prunet.base import tensors
from prunet.data.faces import detection
from stages import strangers
from tests.test_recognise import write_photo
from tests.toy_faces import CROP, fake_faces
from tests.toy_tools import invoke

pytestmark = pytest.mark.field


@pytest.fixture(autouse=True)
def fake_detector(monkeypatch):
    monkeypatch.setattr(detection, "detector", lambda: fake_faces)


def run(folder, false_accepts=None):
    params = {"finding": {"crop": CROP, "resize": {"size": 36}}, "false_accepts": false_accepts}
    (folder / "params").write_text(json.dumps(params))
    return invoke(strangers, folder / "params", folder / "photos", folder / "faces")


def test_all_usable_faces_of_a_tree_of_photos_are_kept_and_unread_pictures_are_named(tmp_path):
    write_photo(tmp_path / "photos" / "one.png", 1)
    write_photo(tmp_path / "photos" / "deep" / "two.png", 2, faces=2)
    write_photo(tmp_path / "photos" / "none.png", 3, faces=0)
    (tmp_path / "photos" / "README.md").write_text("no photo")
    (tmp_path / "photos" / "cut.png").write_bytes((tmp_path / "photos" / "one.png").read_bytes()[:300])
    done = run(tmp_path, 0.1)
    assert done.exit_code == 0, done.output
    assert "3 faces of strangers on 3 photos" in done.stderr
    assert "cut.png: broken-image" in done.stderr
    assert "README" not in done.stderr
    images = tensors.read(tmp_path / "faces")[0]["images"]
    assert (images.shape, images.dtype) == ((3, 1, 36, 36), np.uint8)


@pytest.mark.parametrize("files", [[], ["README.md"]])
def test_without_photos_nothing_is_measured_and_no_threshold_is_set_by_strangers(tmp_path, files):
    (tmp_path / "photos").mkdir()
    for name in files:
        (tmp_path / "photos" / name).write_text("no photo")
    assert run(tmp_path).exit_code == 0
    assert tensors.read(tmp_path / "faces")[0]["images"].shape == (0, 1, 36, 36)
    refused = run(tmp_path, 0.1)
    assert refused.exit_code == 2
    assert "export.false_accepts is 0.1, but" in refused.stderr


def test_photos_without_a_face_are_refused(tmp_path):
    write_photo(tmp_path / "photos" / "none.png", faces=0)
    refused = run(tmp_path)
    assert refused.exit_code == 2
    assert "none of the 1 photos" in refused.stderr
