import numpy as np
from PIL import Image

from prunet.data.faces.detection import Face, choose, cut, detect, square
from prunet.data.hashing import perceptual_hash
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import near_duplicate, photo_of_one


def face(width, height, confidence=0.99, x=0.0):
    return Face((x, 0.0, width, height), confidence, ((x, 0.0),) * 5)


def chosen(faces, min_confidence=0.9, min_size=24, keep="largest"):
    return choose(faces, min_confidence=min_confidence, min_size=min_size, keep=keep)


def test_square_has_the_centre_of_the_box_and_its_longer_side_plus_margins():
    assert square((10, 20, 40, 60), margin=0) == (0, 20, 60)
    assert square((10, 20, 60, 40), margin=0) == (10, 10, 60)
    assert square((10, 20, 40, 60), margin=0.25) == (-15, 5, 90)
    assert square((5, 5, 0.2, 0.1), margin=0) == (5, 5, 1)


def test_cut_inside_the_photo_takes_its_pixels():
    photo = np.arange(5 * 6 * 3, dtype=np.uint8).reshape(5, 6, 3)
    np.testing.assert_array_equal(cut(photo, left=2, top=1, side=3), photo[1:4, 2:5])


def test_cut_repeats_the_border_where_it_reaches_out():
    red = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], np.uint8)
    photo = np.stack([red, red, red], axis=2)
    top_left = [[1, 1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 2], [4, 4, 4, 5]]
    bottom_right = [[5, 6, 6, 6], [8, 9, 9, 9], [8, 9, 9, 9], [8, 9, 9, 9]]
    np.testing.assert_array_equal(cut(photo, left=-2, top=-2, side=4)[:, :, 0], top_left)
    np.testing.assert_array_equal(cut(photo, left=1, top=1, side=4)[:, :, 2], bottom_right)


def test_largest_goes_by_area_and_surest_by_confidence():
    small, large, flat = face(30, 30, 0.99), face(50, 50, 0.95), face(90, 25, 0.97)
    assert chosen([small, large, flat]) == (large, "ok", "One of 3 usable faces was kept.")
    assert chosen([small, large, flat], keep="surest") == (small, "ok", "One of 3 usable faces was kept.")


def test_of_equal_faces_the_first_wins():
    first, second = face(30, 30, x=1.0), face(30, 30, x=50.0)
    assert chosen([first, second])[0] == first
    assert chosen([first, second], keep="surest")[0] == first


def test_only_takes_the_one_face_that_is_usable():
    one, other = face(30, 30), face(60, 60)
    assert chosen([face(60, 60, 0.5), one, face(10, 60)], keep="only") == (one, "ok", "")
    expected = (None, "several-faces", "The photo has 2 usable faces, not one.")
    assert chosen([one, other], keep="only") == expected


def test_why_a_photo_has_no_face_and_the_limits_themselves_are_enough():
    assert chosen([]) == (None, "no-face", "No face was found.")
    unsure = "The surest face has a confidence of 0.899, less than 0.9."
    assert chosen([face(60, 60, 0.5), face(60, 60, 0.899)]) == (None, "unsure", unsure)
    small = "The largest face is 23 pixels wide, less than 24."
    assert chosen([face(60, 60, 0.5), face(23, 60), face(20, 20)]) == (None, "too-small", small)
    exact = face(24, 24, 0.9)
    assert chosen([exact]) == (exact, "ok", "")


def test_detect_shrinks_a_large_photo_and_scales_its_faces_back():
    seen = []

    def find(photo):
        seen.append(photo.shape)
        return [Face((10.0, 5.0, 20.0, 8.0), 0.9, ((10.0, 5.0),) * 5)]

    photo = np.zeros((100, 400, 3), np.uint8)
    assert detect(photo, find, max_side=400) == find(photo)
    assert detect(photo, find, max_side=100) == [Face((40.0, 20.0, 80.0, 32.0), 0.9, ((40.0, 20.0),) * 5)]
    assert seen[-1] == (25, 100, 3)


def test_detect_keeps_a_pixel_of_a_thread():
    def find(photo):
        assert photo.shape == (100, 1, 3)
        return [Face((0.0, 10.0, 1.0, 20.0), 0.9, ((0.5, 10.0),) * 5)]

    photo = np.zeros((3000, 2, 3), np.uint8)
    assert detect(photo, find, max_side=100) == [Face((0.0, 300.0, 2.0, 600.0), 0.9, ((1.0, 300.0),) * 5)]


def test_perceptual_hash_stays_when_a_photo_is_scaled_and_lightened():
    rng = np.random.default_rng(0)
    person = next(iter(invent_people(0).values()))
    first, second = photo_of_one(person, rng), photo_of_one(person, rng)
    again = near_duplicate(first, rng)

    def distance(one, other):
        return int(np.bitwise_count(perceptual_hash(one) ^ perceptual_hash(other)))

    assert distance(first, again) <= 4
    assert distance(first, second) > 8
    gray = np.array(Image.fromarray(first).convert("L"))
    assert perceptual_hash(gray) == perceptual_hash(first)
