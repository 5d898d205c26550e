"""The stage strangers on toy photos."""

import json

import numpy as np
import pytest

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.data.faces import detection, embedding
from prunet.recognition.strangers import Strangers, load, new_people, save
from stages import strangers
from tests.test_recognise import write_photo
from tests.toy_faces import CROP, fake_faces
from tests.toy_tools import invoke

pytestmark = pytest.mark.field


@pytest.fixture(autouse=True)
def fake_detector(monkeypatch):
    monkeypatch.setattr(detection, "detector", lambda: fake_faces)


def run(folder, false_accepts=None, **crop):
    params = {"finding": {"crop": CROP | crop, "resize": {"size": 36}}, "false_accepts": false_accepts}
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


def test_a_photo_with_one_face_is_of_the_person_whose_folder_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "embedder", lambda: lambda photo, face: photo[0, :2, 1].astype(np.float32))
    for number, (name, faces) in enumerate(
        {"ada/1": 1, "ada/old/2": 1, "boris/1": 1, "boris/2": 2, "zoe/1": 0, "loose": 1}.items()
    ):
        write_photo(tmp_path / "photos" / f"{name}.png", number, faces=faces)
    done = run(tmp_path, embedding="sface")
    assert "6 faces of strangers on 6 photos" in done.stderr
    assert "2 people by name" in done.stderr
    found = load(tmp_path / "faces")
    assert found.names == ["ada", "boris"]
    assert found.people.tolist() == [0, 0, 1, -1, -1, -1]
    assert found.embeddings.shape == (6, 2)
    kept = new_people(found)
    assert kept.people.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(kept.images, found.images[:3])
    np.testing.assert_array_equal(kept.embeddings, found.embeddings[:3])


def strangers_of(*people):
    names = ["ada", "boris"]
    return Strangers(np.zeros((len(people), 1, 4, 4), np.uint8), np.array(people, np.int64), names, None)


@pytest.mark.parametrize(
    ("people", "says"),
    [
        ((), "export.strangers has no photos of people by name: put photos with one face there, as NAME/ph"),
        ((-1, -1), "export.strangers has no photos of people by name"),
        ((0, 0), "export.strangers has photos of ada alone, and two people are compared"),
        ((0, 1), "nobody in the folder export.strangers has two photos with one face"),
    ],
)
def test_too_few_new_people_are_refused(people, says):
    with pytest.raises(InputError, match=says):
        new_people(strangers_of(*people))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda found, names: found.pop("people"), "a part is missing"),
        (lambda found, names: names.pop(), "its faces are of people without a name"),
        (lambda found, names: found.update(people=found["people"][1:]), "its parts differ in length"),
        (lambda found, names: found.update(images=found["images"][0]), "its images are uint8 of shape"),
    ],
)
def test_a_damaged_file_of_strangers_is_refused(tmp_path, spoil, says):
    save(tmp_path / "faces", strangers_of(0, 1, -1))
    found, metadata = tensors.read(tmp_path / "faces")
    spoil(found, metadata["names"])
    tensors.write(tmp_path / "faces", found, metadata)
    with pytest.raises(InputError, match=says):
        load(tmp_path / "faces")
