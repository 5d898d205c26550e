"""MTCNN on drawn photos, and the stage crop with it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prunet.data.faces import detection
from prunet.data.faces.detection import choose
from prunet.data.listing.manifests import LANDMARKS
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_nobody, photo_of_one
from stages import crop
from tests.toy_faces import CROP, contents, make_photos, read_table, run

pytestmark = pytest.mark.mtcnn
RULES = {"min_confidence": 0.9, "min_size": 24, "keep": "largest"}


@pytest.fixture(scope="module")
def mtcnn():
    return detection.detector()


def test_mtcnn_finds_a_drawn_face(mtcnn):
    person = next(iter(invent_people(0).values()))
    photo = photo_of_one(person, np.random.default_rng(0))
    found, status, _ = choose(mtcnn(photo), **RULES)
    assert status == "ok"
    x, y, width, height = found.box
    assert 0 <= x < x + width <= photo.shape[1]
    assert 0 <= y < y + height <= photo.shape[0]
    left_eye, right_eye, nose, mouth_left, mouth_right = found.landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    assert mtcnn(photo) == mtcnn(photo)


def test_mtcnn_finds_the_faces_of_the_package_as_it_comes(mtcnn):
    from mtcnn import MTCNN

    people = list(invent_people(0).values())[:2]
    first, second = (photo_of_one(person, np.random.default_rng(3)) for person in people)
    plain = MTCNN()
    for photo in (first, second[::2, ::2], first[:-7, 5:]):
        expected = plain.detect_faces(photo)
        found = mtcnn(photo)
        assert [list(face.box) for face in found] == [face["box"] for face in expected]
        for face, other in zip(found, expected, strict=True):
            assert [list(point) for point in face.landmarks] == [
                other["keypoints"][name] for name in LANDMARKS
            ]
            assert face.confidence == pytest.approx(other["confidence"], abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (13, 13), (20, 20), (3, 900), (200, 200)])
@pytest.mark.parametrize("content", ["blank", "noise"])
def test_mtcnn_finds_nothing_where_nothing_is(mtcnn, shape, content):
    photo = np.full((*shape, 3), 128, np.uint8)
    if content == "noise":
        photo = np.random.default_rng(0).integers(0, 256, photo.shape, np.uint8)
    assert choose(mtcnn(photo), **RULES)[1] == "no-face"


CROP_IN_TWO_PROCESSES = """
import sys
from prunet.data.faces import cropping, detection
from stages import crop

def detector(build=detection.detector):
    find = build()
    assert "tensorflow" in sys.modules
    assert not {"sklearn", "matplotlib"} & set(sys.modules)  # they would delay the start
    import matplotlib
    return find

detection.detector = detector
cropping.processes_for = lambda photos: 2
crop.main()
"""


def test_crop_finds_drawn_people_in_one_process_and_in_two(tmp_path, monkeypatch, mtcnn):
    rng = np.random.default_rng(0)
    people = list(invent_people(0).items())[:2]
    photos = [(name, photo_of_one(person, rng)) for name, person in people for _ in range(2)]
    photos.append((people[0][0], photo_of_nobody(np.random.default_rng(1))))
    make_photos(tmp_path / "photos", photos)
    monkeypatch.setattr(detection, "detector", lambda: mtcnn)
    run(crop, tmp_path)
    statuses = [row["status"] for row in read_table(tmp_path / "crops" / "manifest.csv")]
    assert statuses == ["ok"] * 4 + ["no-face"]

    (tmp_path / "params").write_text(json.dumps(CROP))
    # In a process of its own, because one that has imported TensorFlow cannot be forked.
    arguments = [sys.executable, "-c", CROP_IN_TWO_PROCESSES, "params", "photos", "two"]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    subprocess.run(arguments, cwd=tmp_path, env=environment, check=True)
    assert contents(tmp_path / "two") == contents(tmp_path / "crops")
