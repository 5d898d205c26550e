import numpy as np

from prunet.data.faces.gray import scaled, to_gray


def test_gray_is_luma():
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 0], image[0, 1], image[1, 0], image[1, 1] = (255, 0, 0), (0, 255, 0), (0, 0, 255), (90, 90, 90)
    np.testing.assert_array_equal(to_gray(image, 2), [[76, 150], [29, 90]])


def test_shrinking_averages_areas():
    image = np.array([[0, 100, 8, 8], [100, 200, 8, 8], [0, 0, 255, 255], [0, 0, 255, 251]], np.uint8)
    np.testing.assert_array_equal(scaled(image, 2), [[100, 8], [0, 254]])


def test_enlarging_is_smooth_and_keeps_a_flat_image():
    step = np.array([[0, 200], [0, 200]], np.uint8)
    assert len(np.unique(scaled(step, 8)[0])) > 2
    np.testing.assert_array_equal(scaled(np.full((3, 3), 77, np.uint8), 9), np.full((9, 9), 77))


def test_the_same_size_changes_nothing():
    image = np.random.default_rng(0).integers(0, 256, (7, 7), np.uint8)
    np.testing.assert_array_equal(scaled(image, 7), image)
