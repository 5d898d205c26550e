import numpy as np
import pytest
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.listing import quality, scraping
from prunet.data.listing.manifests import GRAY_COLUMNS, read_manifest
from prunet.data.listing.quality import report
from prunet.data.sets.people import read_gray
from tests.toy_faces import write_table

GOOD = {
    **{"row": "7", "place": "3", "label": "ada", "image": "ada/1.png", "status": "ok", "detail": ""},
    **{"crop": "ada/1.png", "photo_hash": "0123456789abcdef"},
    **{"doubt_score": "0", "doubt_reasons": ""},
}


def write(folder, *rows):
    write_table(folder / "manifest.csv", list(rows[0]), rows)


def refusal(folder, *changes):
    write(folder, *(GOOD | change for change in changes))
    with pytest.raises(InputError) as error:
        read_manifest(folder, GRAY_COLUMNS)
    assert "\n" not in error.value.message
    return error.value.message.removeprefix(f"{folder}/")


def test_a_manifest_is_read_in_the_order_of_the_list(tmp_path):
    failed = GOOD | {"row": "2", "label": "../.", "image": "", "status": "no-face", "photo_hash": ""}
    later = GOOD | {"row": "10", "image": "ada/2.png"}
    write(tmp_path, later, GOOD, failed)
    assert read_manifest(tmp_path, GRAY_COLUMNS) == [failed, GOOD, later]


def test_a_missing_and_an_empty_manifest(tmp_path):
    with pytest.raises(InputError, match=r"manifest.csv does not exist\.$"):
        read_manifest(tmp_path, GRAY_COLUMNS)
    (tmp_path / "manifest.csv").write_text(",".join(GRAY_COLUMNS) + "\n")
    assert read_manifest(tmp_path, GRAY_COLUMNS) == []


@pytest.mark.parametrize("column", ["image", "crop"])
@pytest.mark.parametrize(
    "path",
    [
        *("../ada/1.png", "ada/../../1.png", "/etc/passwd", "ada//etc/passwd", "./ada/1.png"),
        *("1.png", "", "ada/", "ada/.", "ada/..", "ada/.hidden", "ada\\1.png", "ada/..\\1.png", "ada/\x01"),
        *("ada/b/1.png", f"ada/{'a' * 5000}.png"),
    ],
)
def test_a_path_outside_the_persons_folder_is_refused(tmp_path, column, path):
    assert refusal(tmp_path, {}, {"image": "ada/2.png", column: path}) == (
        f"manifest.csv, row 2 below the header: its {column} is {path!r}, not a file in the folder 'ada'; "
        "fix it or rerun the stage that writes it."
    )


def test_the_crop_of_a_face_that_was_moved_lies_in_another_folder_and_its_image_does_not(tmp_path):
    moved = GOOD | {"crop": "boris/1.png"}
    write(tmp_path, moved)
    assert read_manifest(tmp_path, GRAY_COLUMNS) == [moved]
    assert "its image is 'boris/1.png', not a file in the folder 'ada'" in refusal(
        tmp_path, {}, {"image": "boris/1.png"}
    )


@pytest.mark.parametrize("label", ["..", ".", "", "a/b", "/", "a\\b", "ada\n"])
def test_a_label_that_is_not_a_folder_name_is_refused(tmp_path, label):
    message = refusal(tmp_path, {"label": label, "image": f"{label}/1.png", "crop": f"{label}/1.png"})
    assert message.startswith("manifest.csv, row 1 below the header: the label ")


@pytest.mark.parametrize("column", ["row", "place"])
@pytest.mark.parametrize("number", ["", "-1", "1.5", "nan", "one", "9" * 5000, "\N{SUPERSCRIPT TWO}", " 1"])
@pytest.mark.parametrize("status", ["ok", "no-face"])
def test_a_value_that_is_not_a_number_is_refused(tmp_path, column, number, status):
    message = refusal(tmp_path, {"status": status, column: number})
    assert f"row 1 below the header: its {column} is {number!r}, not a whole number;" in message


@pytest.mark.parametrize("number", ["", "-1", "nan", "1e5", "much"])
def test_a_score_that_is_not_a_number_is_refused(tmp_path, number):
    message = refusal(tmp_path, {"doubt_score": number})
    assert f"its doubt_score is {number!r}, not a number of 0 or more;" in message


@pytest.mark.parametrize("number", ["", "g" * 16, "0x12", "f" * 15, "f" * 17, "-" + "f" * 15])
def test_a_value_that_is_not_a_hash_is_refused(tmp_path, number):
    message = refusal(tmp_path, {"photo_hash": number})
    assert f"its photo_hash is {number!r}, not 16 hexadecimal digits;" in message


def test_two_rows_with_one_image_are_refused_whatever_its_format(tmp_path):
    message = refusal(tmp_path, {}, {"image": "ada/1.jpg"})
    assert "row 2 below the header: its image 'ada/1.jpg' also belongs to an earlier row;" in message


def test_unknown_and_missing_columns_are_refused(tmp_path):
    message = refusal(tmp_path, {"colour": "red"})
    assert message == "manifest.csv has a column 'colour' that no stage wrote; remove it."
    write(tmp_path, {key: value for key, value in GOOD.items() if key != "place"})
    with pytest.raises(InputError, match=r"manifest.csv has no column 'place'"):
        read_manifest(tmp_path, GRAY_COLUMNS)


def test_gray_images_are_read_as_they_were_written(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    names = [f"{number}.png" for number in range(3)]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    np.testing.assert_array_equal(read_gray(tmp_path, names), images)


@pytest.mark.parametrize(("size", "mode"), [((8, 9), "L"), ((9, 9), "L"), ((8, 8), "RGB")])
def test_images_must_be_gray_and_of_one_size(tmp_path, size, mode):
    Image.new("L", (8, 8)).save(tmp_path / "0.png")
    Image.new(mode, size, "red" if mode == "RGB" else 1).save(tmp_path / "1.png")
    with pytest.raises(InputError, match=r"1.png is not a gray image of 8 x 8 pixels; rerun the stage res"):
        read_gray(tmp_path, ["0.png", "1.png"])


def test_report_warns_or_refuses_and_ignores_empty_findings(capsys):
    report(["", ""], "refuse")
    report(["", ""], "warn")
    assert capsys.readouterr().err == ""
    report(["One is red.", "", "Two are blue."], "warn")
    assert capsys.readouterr().err == "warning: One is red.\nwarning: Two are blue.\n"
    with pytest.raises(InputError) as error:
        report(["One is red.", "", "Two are blue."], "refuse")
    assert error.value.message == "One is red. Two are blue. Set `doubtful: warn` to make this a warning."
    assert error.value.exit_code == 2


def results(**photos):
    """Rows of crop's manifest: (photos with a face, photos) of each person."""
    return [
        {"label": label, "status": "ok" if number < good else "no-face"}
        for label, (good, count) in photos.items()
        for number in range(count)
    ]


def test_people_with_too_small_a_share_of_usable_photos_are_found():
    rows = results(ada=(5, 10), boris=(4, 10), cleo=(0, 3), dora=(7, 7))
    found = quality.mostly_rejected(rows, 0.5)
    assert found == (
        "2 people have too few photos with a usable face (none, or less than 50%): boris (4 of 10 photos), "
        "cleo (0 of 3 photos). List better photos of them, or leave them out."
    )
    assert quality.mostly_rejected(rows, 0).count("cleo (0 of 3 photos)") == 1
    assert quality.mostly_rejected(rows, 0).startswith("1 person has")
    assert quality.mostly_rejected(results(ada=(1, 10)), 0.1) == ""


@pytest.mark.field
def test_all_classes_with_too_few_images_are_named(tmp_path):
    counts = dict(zip("fedcba", (9, 5, 1, 2, 3, 4), strict=True))
    assert quality.few_images(quality.rare(counts, 1, tmp_path), 1) == ""
    found = quality.rare(counts, 5, tmp_path)
    assert found == {"a": 4, "b": 3, "c": 2, "d": 1}
    assert quality.few_images(found, 5).startswith(
        "data.min_images, 5, leaves out 4 classes: a (4), b (3), c (2), d (1). Add images of them"
    )
    with pytest.raises(InputError, match="leaves out 5 classes: a"):
        quality.rare(counts, 6, tmp_path)
    many = {f"person {number:03}": 1 for number in range(200)}
    assert quality.all_of(many).endswith("person 099 (1) and 100 more")


def test_near_duplicates_of_different_people_are_found_by_either_hash():
    hashes = np.array([[0, 0], [0b11, 2**40 - 1], [2**50 - 1, 2**40 - 1], [2**50 - 1, 2**20 - 1]], np.uint64)
    names, people = ["a/1", "b/1", "c/1", "c/2"], ["a", "b", "c", "c"]
    found = quality.look_alike(hashes, people, names, 2)
    assert found.startswith("2 pairs of images of different people differ in at most 2")
    assert ": a/1 and b/1, b/1 and c/1. Add" in found
    assert ": b/1 and c/1. Add the wrong" in quality.look_alike(hashes, people, names, 1)
    assert quality.look_alike(hashes, ["a"] * 4, names, 64) == ""


def test_photos_listed_for_two_people_are_found():
    listed = [("ada", "1.png"), ("boris", "1.png"), ("ada", "1.png"), ("ada", "2.png"), ("cleo", "3.png")]
    rows = scraping.screen([{"label": label, "url": url} for label, url in listed])
    good = {"status": "ok", "detail": ""}
    found = {url: good | {"image": "x.png"} for url in ("1.png", "2.png")} | {"3.png": good | {"image": "y"}}
    scraping.settle(rows, found)
    assert [row["status"] for row in rows] == ["ok", "duplicate", "duplicate", "duplicate", "ok"]
    assert quality.listed_twice(rows) == (
        "1 photo is listed for two people: ada in row 1 and boris in row 2. Remove the wrong row of each "
        "pair from the list."
    )
    rows[1] = rows[1] | {"label": "ada"}
    assert quality.listed_twice(rows) == ""
