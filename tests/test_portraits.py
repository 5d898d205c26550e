"""Drawn photos of imaginary people, and the geometry behind them."""

import numpy as np
import pytest

from prunet.data.faces.detection import detector
from prunet.data.sample.geometry import Pose, Position, View, ellipsoid, project, view_around
from prunet.data.sample.lighting import Light, normals, shade
from prunet.data.sample.paint import blend
from prunet.data.sample.people import RANGES, STYLES, Looks, invent_people
from prunet.data.sample.photos import near_duplicate, photo_of_nobody, photo_of_one, photo_of_two

PEOPLE = invent_people(0)


def draw(name: str, seed: int = 0) -> np.ndarray:
    return photo_of_one(PEOPLE[name], np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_no_two_people_share_a_slice_of_any_measure(seed):
    people = invent_people(seed)
    looks = np.array([person.looks for person in people.values()])
    least, most = np.transpose([RANGES[measure] for measure in Looks._fields])
    shares = (looks - least) / (most - least)
    for measure in (shares * len(people)).T:
        assert sorted(measure.astype(int)) == list(range(len(people)))


def test_people_differ_in_style_skin_and_hair_and_with_the_seed():
    assert invent_people(1) != PEOPLE
    assert not np.array_equal(draw("ada"), draw("boris"))
    for trait in ("style", "skin", "hair"):
        assert len({getattr(person, trait) for person in PEOPLE.values()}) == len(PEOPLE)


@pytest.mark.parametrize("seed", range(3))
def test_photos_are_rgb_images_of_the_documented_sizes(seed):
    photos = [draw(name, seed) for name in STYLES]
    two = photo_of_two(PEOPLE["ada"], PEOPLE["femi"], np.random.default_rng(seed))
    nobody = photo_of_nobody(np.random.default_rng(seed))
    for photo in (*photos, two, nobody):
        assert (photo.dtype, photo.shape[2:]) == (np.uint8, (3,))
        assert photo.std() > 10
    assert all(160 <= max(photo.shape) <= 360 for photo in photos)
    assert 300 <= two.shape[1] <= 360
    assert 200 <= max(nobody.shape) <= 360


def test_a_near_duplicate_is_smaller_but_looks_the_same():
    original = draw("clio")
    copy = near_duplicate(original, np.random.default_rng(0))
    assert copy.dtype == np.uint8
    assert copy.shape[0] < original.shape[0]
    assert copy.shape[1] < original.shape[1]
    assert abs(float(copy.mean()) - float(original.mean())) < 16
    rows = np.arange(copy.shape[0]) * original.shape[0] // copy.shape[0]
    columns = np.arange(copy.shape[1]) * original.shape[1] // copy.shape[1]
    same_size = original[rows][:, columns]
    assert np.corrcoef(copy.ravel(), same_size.ravel())[0, 1] > 0.9


def upright(yaw: float = 0.0, pitch: float = 0.0) -> Pose:
    return Pose(yaw, pitch, roll=0.0, smile=0.0, mouth_open=0.0, eyes_open=1.0, brows_up=0.0, gaze=0.0)


def view() -> View:
    return view_around(np.zeros((81, 81, 3), np.float32), Position(40, 40, 27))


def test_an_upright_head_is_an_ellipsoid_seen_from_the_front():
    _, x, y, _ = view()
    surface = ellipsoid(x, y, (0.7, 1.0, 0.9), upright())
    inside = (x / 0.7) ** 2 + y**2 < 1
    assert np.array_equal(surface.outside < 0, inside)
    height = 0.9 * np.sqrt(1 - (x / 0.7) ** 2 - y**2, where=inside, out=np.zeros_like(x))
    assert np.allclose(surface.depth[inside], height[inside], atol=1e-4)
    assert np.array_equal(surface.x, x)
    assert np.array_equal(surface.y, y)


@pytest.mark.parametrize(("pose", "moves"), [(upright(yaw=0.4), (1, 0)), (upright(pitch=0.4), (0, 1))])
def test_the_front_of_a_rotated_head_moves_right_or_down(pose, moves):
    x, y = project((0.0, 0.0, 1.0), pose)
    assert np.allclose((x, y), np.sin(0.4) * np.array(moves))
    _, across, down, _ = view()
    surface = ellipsoid(across, down, (0.7, 1.0, 0.9), pose)
    tip = np.argmin(surface.x**2 + surface.y**2 + (surface.outside > 0))  # the pixel that shows the nose
    assert np.allclose((across.flat[tip], down.flat[tip]), 0.9 * np.sin(0.4) * np.array(moves), atol=0.04)


def test_the_side_facing_the_lamp_is_brighter():
    _, x, y, _ = view()
    depth = ellipsoid(x, y, (0.7, 1.0, 0.9), upright()).depth
    light = Light(direction=(0.8, 0.0, 0.6), lamp=0.6, ambient=0.4)
    tone = shade(normals(depth, 27.0), light)
    assert tone[40, 40 + 12] > tone[40, 40 - 12] + 0.2


def test_paint_follows_the_mask():
    canvas = np.zeros((4, 5, 3), np.float32)
    mask = np.zeros((4, 5), np.float32)
    mask[1, 2], mask[2, 3] = 1.0, 0.5
    blend(canvas, mask, (0.2, 0.4, 0.8))
    expected = mask[..., None] * np.float32((0.2, 0.4, 0.8))
    assert np.allclose(canvas, expected)
    blend(canvas, np.zeros_like(mask), (1.0, 1.0, 1.0))
    assert np.allclose(canvas, expected)


@pytest.mark.mtcnn
def test_mtcnn_finds_exactly_the_people_in_a_photo():
    find = detector()

    def faces(photo):
        """Return the areas of the detected faces in square pixels, largest first."""
        boxes = [face.box for face in find(photo) if face.confidence >= 0.9]
        return sorted((width * height for _, _, width, height in boxes), reverse=True)

    names = list(PEOPLE)
    found = [len(faces(draw(name, seed))) >= 1 for name in names for seed in range(3)]
    assert sum(found) >= len(found) - 1
    for seed in range(3):
        rng = np.random.default_rng(seed)
        assert faces(photo_of_nobody(rng)) == []
        areas = faces(photo_of_two(PEOPLE[names[seed]], PEOPLE[names[seed + 3]], rng))
        assert len(areas) == 2
        assert areas[0] > 1.5 * areas[1]
