"""The stages crop, resize and images on faces, each on the output of the one before."""

import hashlib
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prunet.data.faces import detection
from prunet.data.images import dataset
from prunet.data.listing.manifests import GRAY_COLUMNS
from stages import crop, gallery, images, resize
from tests import toy_faces
from tests.toy_faces import (
    exclude,
    make_photos,
    many,
    read_table,
    refusal,
    run,
    run_all,
    texture,
    write_table,
)


@pytest.fixture(autouse=True)
def fake_detector(monkeypatch):
    monkeypatch.setattr(detection, "detector", lambda: toy_faces.fake_faces)


def prepared(folder, photos, *excluded):
    """Run crop and resize on photos."""
    make_photos(folder / "photos", photos)
    exclude(folder, *excluded)
    run(crop, folder)
    return run(resize, folder)


# damage between the stages

INPUTS = {crop: "photos", resize: "crops", images: "gray"}
each_stage = pytest.mark.parametrize("stage", INPUTS, ids=lambda stage: stage.__name__)


def damaged(tmp_path, stage, change):
    """Change the manifest that a stage reads, or its images; return the message of the stage.

    `change` receives the rows and the folder; the first row is boris's, the second ada's.
    """
    folder = tmp_path / "work"
    prepared(folder, many(1))
    source = folder / INPUTS[stage]
    rows = read_table(source / "manifest.csv")
    change(rows, source)
    write_table(source / "manifest.csv", list(rows[0]), rows)
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(source)}
    message = refusal(stage, folder)
    assert "\n" not in message
    assert before == {path for path in tmp_path.rglob("*") if not path.is_relative_to(source)}
    return message.replace(f"{source}/", "")


@each_stage
@pytest.mark.parametrize(
    ("change", "what"),
    [({"image": "../boris/1.png"}, "its image is '../boris/1.png'"), ({"row": "one"}, "its row is 'one'")],
)
def test_a_damaged_row_is_refused(tmp_path, stage, change, what):
    message = damaged(tmp_path, stage, lambda rows, source: rows[0].update(change))
    assert message.startswith(f"manifest.csv, row 1 below the header: {what}")


@each_stage
@pytest.mark.parametrize("left", [0, 0.5])
def test_a_missing_image_and_half_an_image_are_refused(tmp_path, stage, left):
    def change(rows, source):
        path = source / rows[1]["image"]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]) if left else path.unlink()

    message = damaged(tmp_path, stage, change)
    reason = " does not decode" if left else ": No such file or directory"
    assert message.startswith(f"ada/{2:016x}.png{reason}")
    assert "; rerun the stage that writes it." in message


def test_a_box_that_is_no_number_is_refused(tmp_path):
    message = damaged(tmp_path, resize, lambda rows, source: rows[0].update(width="wide"))
    assert message.startswith("manifest.csv, row 1 below the header: its width is 'wide', not a number")


# resize


def test_resize_writes_gray_faces_and_leaves_out_what_the_list_names(tmp_path):
    lines = [
        ("ada", f"{2:016x}", "wrong person"),
        (" boris", f" {3:016x}", " blurred, and dark"),
        ("boris", f"{4:016x}", "is ada's"),
    ]
    warning = prepared(tmp_path, many(3), *lines)
    line = f"boris,{4:016x},is ada's"
    assert f"the line {line} has no effect: that is a face of 'ada'." in warning
    assert warning.count("\n") == 1

    rows = read_table(tmp_path / "gray" / "manifest.csv")
    assert tuple(rows[0]) == GRAY_COLUMNS
    assert [(row["status"], row["image"], row["detail"]) for row in rows[:4]] == [
        ("ok", f"boris/{1:016x}.png", ""),
        ("excluded", "", "wrong person"),
        ("excluded", "", "blurred, and dark"),
        ("ok", f"ada/{4:016x}.png", ""),
    ]
    assert [row["place"] for row in rows] == ["0", "0", "1", "1", "2", "2"]
    assert rows[1]["crop"] == f"ada/{2:016x}.png"
    doubts = read_table(tmp_path / "sheets" / "doubts.csv")
    assert [(row["doubt_score"], row["doubt_reasons"]) for row in rows] == [
        (row["score"], row["reasons"]) for row in doubts
    ]
    assert any(row["doubt_reasons"] for row in rows)
    written = {str(path.relative_to(tmp_path / "gray")) for path in (tmp_path / "gray").rglob("*.png")}
    assert written == {row["image"] for row in rows if row["status"] == "ok"}
    for name in written:
        with Image.open(tmp_path / "gray" / name) as image:
            assert (image.size, image.mode) == ((36, 36), "L")
    names = ["ada.png", "boris.png", "doubts.csv", "lines.csv"]
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == names
    counts = json.loads((tmp_path / "gray" / "counts.json").read_text())
    assert counts == {"ok": 4, "excluded": 2, "exclude_unmatched": 1}


def test_resize_warns_of_a_person_without_a_face_left(tmp_path):
    warning = prepared(tmp_path, many(1), ("ada", f"{2:016x}", "a drawing"))
    assert warning == "warning: every face of ada is excluded\n"


@pytest.mark.field
def test_the_lines_beside_the_sheets_leave_out_their_faces(tmp_path):
    prepared(tmp_path, many(3), ("ada", f"{4:016x}", "blurred"))
    lines = read_table(tmp_path / "sheets" / "lines.csv")
    assert [line["label"] for line in lines] == ["ada"] * 3 + ["boris"] * 3
    assert {line["image"]: line["reason"] for line in lines if line["reason"]} == {f"{4:016x}": "blurred"}
    wanted = [line for line in lines if line["image"] in (f"{4:016x}", f"{6:016x}")]
    write_table(tmp_path / "exclude.csv", tuple(lines[0]), wanted)
    assert run(resize, tmp_path) == ""
    rows = read_table(tmp_path / "gray" / "manifest.csv")
    assert [row["row"] for row in rows if row["status"] == "excluded"] == ["4", "6"]


@pytest.mark.field
def test_a_moved_face_is_the_other_persons_from_then_on(tmp_path):
    """In the manifest, the gray folder and the data set, on the side of its own place in the list."""
    name, move = f"{4:016x}", "move_to"
    make_photos(tmp_path / "photos", many(10))
    line = dict(zip((*toy_faces.EXCLUDE_COLUMNS, move), ("ada", name, "is boris", "boris"), strict=True))
    write_table(tmp_path / "exclude.csv", tuple(line), [line])
    run(crop, tmp_path)
    assert run(resize, tmp_path) == ""
    row = read_table(tmp_path / "gray" / "manifest.csv")[3]
    expected = {
        **{"row": "4", "place": "1", "label": "boris", "image": f"boris/{name}.png", "status": "ok"},
        **{"detail": "moved to boris: is boris", "crop": f"ada/{name}.png"},
    }
    assert row | expected == row
    assert not (tmp_path / "gray" / "ada" / f"{name}.png").exists()
    run(images, tmp_path)
    data = dataset.load(tmp_path / "data.safetensors")
    assert data["labels"].tolist() == [1, 0, 1, 1] + [1, 0] * 8
    with Image.open(tmp_path / "gray" / "boris" / f"{name}.png") as image:
        np.testing.assert_array_equal(data["images"][3, 0], np.asarray(image))
    lines = read_table(tmp_path / "sheets" / "lines.csv")
    assert [line for line in lines if line[move]] == [
        {"label": "ada", "image": name, "reason": "is boris", move: "boris"}
    ]
    folders = [str(tmp_path / folder) for folder in ("crops", "photos", "gray", "gallery")]
    assert CliRunner().invoke(gallery.main, folders).exit_code == 0


@pytest.mark.field
def test_the_exclude_list_may_name_photos_as_the_list_of_photos_does(tmp_path):
    make_photos(tmp_path / "photos", many(3))
    rows = read_table(tmp_path / "photos" / "manifest.csv")
    for row in rows:
        row["url"] = f"https://host.example/{row['label']}/{row['row']}.jpg?width=800"
    write_table(tmp_path / "photos" / "manifest.csv", tuple(rows[0]), rows)
    exclude(tmp_path, ("ada", rows[1]["url"], "two people"), ("boris", "3.jpg", ""), ("", "9.jpg", ""))
    run(crop, tmp_path)
    warning = run(resize, tmp_path)
    assert warning.count("\n") == 1
    assert "the line ,9.jpg, has no effect: there is no face of that name" in warning
    rows = read_table(tmp_path / "gray" / "manifest.csv")
    assert [row["row"] for row in rows if row["status"] == "excluded"] == ["2", "3"]


def test_resize_refuses_an_exclude_list_without_a_column(tmp_path):
    make_photos(tmp_path / "photos", many(1))
    run(crop, tmp_path)
    write_table(tmp_path / "exclude.csv", ("label", "image"), [])
    assert "exclude.csv has no column 'reason'" in refusal(resize, tmp_path)
    assert not (tmp_path / "gray").exists()


# images


def test_the_dataset_is_in_the_order_of_the_list(tmp_path):
    prepared(tmp_path, many(10))
    result = toy_faces.invoke(images, tmp_path, val=0.2, test=0.1)
    assert result.stdout == (
        f"{tmp_path}/gray: 20 images, 2 classes, 14 train, 4 val, 2 test; "
        "near-duplicates: 0 moved, 0 left out\n"
    )
    data = dataset.load(tmp_path / "data.safetensors")
    assert data["class_names"] == ["ada", "boris"]
    assert data["images"].shape == (20, 1, 36, 36)
    assert data["labels"].tolist() == [1, 0] * 10
    for label in (0, 1):
        assert np.bincount(data["split"][data["labels"] == label]).tolist() == [7, 2, 1]
    with Image.open(tmp_path / "gray" / "ada" / f"{2:016x}.png") as image:
        np.testing.assert_array_equal(data["images"][1, 0], np.asarray(image))


def test_but_for_the_names_of_files_the_dataset_has_the_bytes_that_published_results_were_made_from(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for number in range(40):
        label = ("zoë", "Jon Snow")[number % 2]
        name = f"{label}/{number}.png"
        (tmp_path / "gray" / label).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (16, 16), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "gray" / name)
        row = {"row": number, "place": number // 2, "label": label, "image": name, "status": "ok"}
        row |= {"detail": "", "crop": name, "photo_hash": f"{number // 3:016x}", "doubt_score": number}
        rows.append(row | {"doubt_reasons": "blurred"})
    write_table(tmp_path / "gray" / "manifest.csv", GRAY_COLUMNS, rows)
    run(images, tmp_path, val=0.2, test=0.1, near_duplicate_distance=0)
    data = dataset.load(tmp_path / "data.safetensors")
    assert data["files"] == [row["image"] for row in rows]
    dataset.save(tmp_path / "without-names", **data | {"files": None})
    digest = hashlib.sha256((tmp_path / "without-names").read_bytes()).hexdigest()
    assert digest == "a69f08f719cf988b2a96d02df66afe16350efa1b44a8caa73297928e01cd2fb4"


def test_rows_that_are_added_fail_or_are_left_out_move_no_other(tmp_path):
    photos = many(10)
    before = run_all(tmp_path / "before", photos[:16])
    added = run_all(tmp_path / "added", photos)
    assert {row: added[row] for row in before} == before

    exclude(tmp_path / "dropped", ("boris", f"{5:016x}", "wrong person"))
    dropped = run_all(tmp_path / "dropped", photos[:16], failed=[3, 12])
    assert before.keys() - dropped.keys() == {"3", "5", "12"}
    assert {row: before[row] for row in dropped} == dropped


def test_near_duplicates_follow_the_first(tmp_path):
    photos = many(8)
    alone = run_all(tmp_path / "alone", photos)
    test_row = next(int(row) for row, side in alone.items() if side == 2)
    train_row = next(int(row) for row, side in alone.items() if side == 0 and int(row) > test_row)
    label, photo = photos[train_row - 1][0], photos[test_row - 1][1]
    photos[train_row - 1] = (label, np.array(Image.fromarray(photo).resize((120, 96))))
    photos[train_row - 1][1][0, 0] = 1
    followed = run_all(tmp_path / "followed", photos)
    assert followed == alone | {str(train_row): 2}


@pytest.mark.field
def test_people_with_few_faces_are_left_out_and_faces_alike_a_warning_or_both_refused(tmp_path):
    photos = many(8)
    twin = np.array(Image.fromarray(photos[7][1]).resize((120, 96)))  # ada's photo, larger
    twin[0, 0] = 1
    rare = [(name, texture(100 + number)) for number, name in enumerate(["cleo", "cleo", "dora"])]
    prepared(tmp_path, [*photos, ("boris", twin), *rare])
    few, alike = run(images, tmp_path, min_images=3).splitlines()
    assert few == (
        "warning: data.min_images, 3, leaves out 2 classes: cleo (2), dora (1). Add images of them, or lower "
        "data.min_images."
    )
    assert dataset.load(tmp_path / "data.safetensors")["class_names"] == ["ada", "boris"]
    assert f"ada/{8:016x}.png and boris/{17:016x}.png" in alike
    before = toy_faces.contents(tmp_path)
    message = refusal(images, tmp_path, min_images=3, doubtful="refuse")
    assert few.removeprefix("warning: ") in message
    assert alike.removeprefix("warning: ") in message
    assert toy_faces.contents(tmp_path) == before
    only = refusal(images, tmp_path, min_images=9)
    assert (
        "at least two classes, but data.min_images, 9, leaves out 3 classes: ada (8), cleo (2), dora (1)."
        in only
    )
