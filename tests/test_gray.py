import numpy as np
from PIL import Image

from prunet.data.faces import gray
from prunet.data.faces.gray import Entry, contact_sheet, scaled, to_gray
from prunet.data.faces.strip import save_strip


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


def entries(number, reason=None):
    image = np.full((10, 10, 3), 60, np.uint8)
    return [Entry(image, f"{index:016x}", reason) for index in range(number)]


def is_red(sheet):
    return (sheet == gray.RED).all(axis=2)


def test_a_contact_sheet_has_eight_images_in_a_row():
    one, eight, nine = (contact_sheet("ada", "", entries(number)) for number in (1, 8, 9))
    assert one.shape == eight.shape
    assert one.shape[1] >= gray.COLUMNS * gray.CELL
    assert nine.shape[0] - eight.shape[0] >= gray.THUMBNAIL
    assert one.dtype == np.uint8
    assert (one[-1, -1] == gray.PAPER).all()


def test_a_contact_sheet_crosses_out_only_excluded_images():
    kept = contact_sheet("ada", "", entries(3))
    assert not is_red(kept).any()
    images = kept[gray.TITLE_HEIGHT : gray.TITLE_HEIGHT + gray.THUMBNAIL]
    assert (images == 60).all(axis=2).sum() == 3 * gray.THUMBNAIL**2
    mixed = contact_sheet("ada", "", [*entries(1), *entries(1, "wrong person"), *entries(1)])
    columns = np.nonzero(is_red(mixed).any(axis=0))[0]
    assert columns.min() >= gray.CELL
    assert columns.max() < 2 * gray.CELL + 16
    # Also without a reason.
    assert is_red(contact_sheet("ada", "", entries(1, ""))).any()


def test_names_and_reasons_stay_in_their_cells():
    reason = "a reason that is far too long for two short lines below an image " * 3 + "x" * 200
    sheet = contact_sheet("ada", "", [*entries(1, reason), *entries(1)])
    red = np.nonzero(is_red(sheet).any(axis=0))[0]
    assert red.max() < 16 + gray.CELL
    assert not is_red(sheet)[-8:].any()


def test_equal_images_give_equal_bytes_of_a_strip(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    rows = [[colour, colour[..., 0]], [colour]]  # the last row may be shorter
    for name in ("a.png", "b.png"):
        save_strip(tmp_path / name, rows, ["x", "y"], "toy")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (1400, 1480)  # 7 x 7.4 inches
