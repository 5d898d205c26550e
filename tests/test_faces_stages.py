"""The stages crop, resize and faces, each on the output of the one before."""

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from click.testing import CliRunner
from PIL import Image

from prunet.base.errors import InputError
from prunet.data import dataset
from prunet.data.faces import cropping, detection
from prunet.data.faces.detection import Face
from prunet.data.listing import quality, scraping
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_nobody, photo_of_one
from stages import crop, faces, resize

LABELS = ("boris", "ada")  # not in the order of the alphabet
LIST_COLUMNS = ("row", "label", "url", "status", "image", "detail")


def write_table(path, columns, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        writer.writerows(rows)


def read_table(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def texture(number, width=100, height=80):
    """A photo like no other: (height, width, 3). Its first pixel says how many faces `fake` finds."""
    coarse = np.random.default_rng(number).integers(20, 230, (6, 6, 3), np.uint8)
    photo = np.array(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    photo[0, 0] = 1
    return photo


def fake(photo):
    """Find photo[0, 0, 0] faces, each smaller and surer than the one before."""
    landmarks = ((25.26, 20.0), (45.0, 20.0), (35.0, 30.0), (28.0, 40.0), (42.0, 40.0))
    return [
        Face((20.0, 10.0, 30.0 - number, 40.0 - number), 0.95 + number / 100, landmarks)
        for number in range(photo[0, 0, 0])
    ]


@pytest.fixture(autouse=True)
def fake_detector(request, monkeypatch):
    if "mtcnn" not in request.keywords:
        monkeypatch.setattr(detection, "detector", lambda: fake)


def make_photos(folder, photos, failed=()):
    """Write photos [(label, pixels)] as ingest does; `failed` are the numbers of rows that failed."""
    rows = []
    for number, (label, photo) in enumerate(photos, start=1):
        row = dict.fromkeys(LIST_COLUMNS, "") | {"row": number, "label": label, "status": "not-found"}
        if number not in failed:
            row |= {"status": "ok", "image": f"{label}/{number:016x}.png"}
            (folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(photo).save(folder / row["image"])
        rows.append(row)
    write_table(folder / "manifest.csv", LIST_COLUMNS, rows)
    return folder


def many(number, first=0):
    """`number` photos of each label, in turn."""
    return [(LABELS[i % 2], texture(first + i)) for i in range(2 * number)]


def invoke(command, *arguments):
    return CliRunner().invoke(command.main, [str(argument) for argument in arguments])


def run(command, *arguments):
    result = invoke(command, *arguments)
    assert result.exit_code == 0, result.output
    return result.stderr


def refusal(command, *arguments):
    """Run a command that refuses its input; return what it says."""
    result = invoke(command, *arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)
    return result.stderr.removeprefix("Error: ").strip()


def words(text):
    return text.split()


DOUBT = words("--min-accepted 0 --doubtful warn")
CROP = words("--min-confidence 0.9 --min-size 24 --keep largest --margin 0.25 --max-side 800") + DOUBT
SHARES = words("--train 70 --val 20 --test 10 --near-duplicate-distance 6 --seed 0")
FACES = [*SHARES, *words("--min-faces 1 --doubtful warn")]


def run_crop(folder, options=CROP):
    return run(crop, *options, folder / "photos", folder / "crops", folder / "crop.json")


def resize_arguments(folder, size=36):
    exclude = folder / "exclude.csv"
    if not exclude.exists():
        write_table(exclude, ("label", "image", "reason"), [])
    outputs = (folder / "gray", folder / "sheets", folder / "resize.json")
    return "--size", size, "--exclude", exclude, folder / "crops", *outputs


def run_faces(folder):
    return run(faces, *FACES, folder / "gray", folder / "faces.safetensors", folder / "faces.json")


def run_all(folder, photos, failed=()):
    make_photos(folder / "photos", photos, failed)
    run_crop(folder)
    run(resize, *resize_arguments(folder))
    run_faces(folder)
    return sides_by_row(folder)


def sides_by_row(folder):
    rows = [row["row"] for row in read_table(folder / "gray" / "manifest.csv") if row["status"] == "ok"]
    split = dataset.load(folder / "faces.safetensors")["split"]
    return dict(zip(rows, split.tolist(), strict=True))


# crop


def test_crop_writes_squares_and_a_manifest(tmp_path):
    photo, empty, two = texture(1), texture(2), texture(3)
    empty[0, 0], two[0, 0] = 0, 2
    photos = [("ada", photo), ("ada", photo), ("boris", empty), ("ada", two), ("boris", photo)]
    make_photos(tmp_path / "photos", photos, failed=[1])
    assert run_crop(tmp_path) == ""
    rows = read_table(tmp_path / "crops" / "manifest.csv")
    assert tuple(rows[0]) == quality.CROP_COLUMNS
    assert [(row["row"], row["place"], row["status"], row["faces"]) for row in rows] == [
        ("2", "1", "ok", "1"),
        ("3", "0", "no-face", "0"),
        ("4", "2", "ok", "2"),
        ("5", "1", "ok", "1"),
    ]
    first, second = rows[:2]
    assert first["image"] == first["photo"] == "ada/0000000000000002.png"
    assert [first[key] for key in ("x", "y", "width", "height")] == ["20.0", "10.0", "30.0", "40.0"]
    assert (first["confidence"], first["left_eye_x"], first["mouth_right_y"]) == ("0.95", "25.3", "40.0")
    assert (second["image"], second["x"], second["detail"]) == ("", "", "No face was found.")
    assert (first["photo_hash"], len(first["photo_hash"])) == (rows[3]["photo_hash"], 16)
    with Image.open(tmp_path / "crops" / first["image"]) as image:  # the box is 30 x 40: a side of 60
        np.testing.assert_array_equal(np.asarray(image), photo[0:60, 5:65])
    assert not (tmp_path / "crops" / "boris" / "0000000000000003.png").exists()
    assert json.loads((tmp_path / "crop.json").read_text()) == {
        "ok": 3,
        "no-face": 1,
        "unsure": 0,
        "too-small": 0,
        "several-faces": 0,
    }


def test_crop_takes_underscores_and_every_rule(tmp_path):
    two = texture(3)
    two[0, 0] = 2
    make_photos(tmp_path / "photos", [("ada", two), ("ada", texture(4))])
    start = words("--min_confidence 0.9 --min_size 24 --margin 0.25 --max_side 800")
    start += words("--min_accepted 0 --doubtful warn --keep")
    run_crop(tmp_path, [*start, "surest"])
    assert read_table(tmp_path / "crops" / "manifest.csv")[0]["confidence"] == "0.96"
    run_crop(tmp_path, [*start, "only"])
    assert [row["status"] for row in read_table(tmp_path / "crops" / "manifest.csv")] == [
        "several-faces",
        "ok",
    ]


def test_crop_names_each_person_without_a_face(tmp_path):
    empty = texture(2)
    empty[0, 0] = 0
    make_photos(tmp_path / "photos", [("ada", texture(1)), ("boris", empty), ("boris", empty)])
    said = run_crop(tmp_path)
    assert said.startswith(
        "warning: 1 person has too few photos with a usable face (none, or less than 0%): "
    )
    assert "boris (0 of 2 photos): list better photos" in said


def test_crop_refuses_photos_without_any_face(tmp_path):
    empty = texture(2)
    empty[0, 0] = 0
    photos = make_photos(tmp_path / "photos", [("ada", empty), ("boris", empty)])
    said = refusal(crop, *CROP, photos, tmp_path / "crops", tmp_path / "crop.json")
    assert said.startswith("None of the 2 photos has a usable face: lower --min-confidence")
    assert not (tmp_path / "crops").exists()
    assert not (tmp_path / "crop.json").exists()


def test_crop_refuses_a_list_of_which_every_row_failed(tmp_path):
    photos = make_photos(tmp_path / "photos", many(1), failed=[1, 2])
    assert "has no photo: see" in refusal(crop, *CROP, photos, tmp_path / "crops", tmp_path / "crop.json")


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}


def test_crop_in_three_processes_is_crop_in_one(tmp_path, monkeypatch):
    photos = many(4)
    photos[3][1][0, 0], photos[6][1][0, 0] = 0, 2
    for name, processes in (("one", 1), ("three", 3)):
        make_photos(tmp_path / name / "photos", photos, failed=[5])
        monkeypatch.setattr(cropping, "processes_for", lambda photos, number=processes: number)
        run_crop(tmp_path / name)
    assert contents(tmp_path / "three") == contents(tmp_path / "one")


def test_few_photos_are_the_work_of_one_process(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    counts = [cropping.processes_for(photos) for photos in (1, 199, 200, 400, 100_000)]
    assert counts == [1, 1, 2, 4, 4]


def run_with(find, tmp_path, monkeypatch):
    """Run crop in two processes that look for faces with `find`; return what it refuses with."""
    monkeypatch.setattr(detection, "detector", lambda: find)
    monkeypatch.setattr(cropping, "processes_for", lambda photos: 2)
    photos = make_photos(tmp_path / "photos", many(4))
    said = refusal(crop, *CROP, photos, tmp_path / "crops", tmp_path / "crop.json")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
    assert not multiprocessing.active_children()
    return said


def test_a_killed_process_ends_the_stage_with_a_sentence(tmp_path, monkeypatch):
    said = run_with(lambda photo: os.kill(os.getpid(), signal.SIGKILL), tmp_path, monkeypatch)
    assert said.startswith("a process that looks for faces was killed, often by too little memory")


def test_what_one_process_refuses_the_stage_refuses(tmp_path, monkeypatch):
    def find(photo):
        raise InputError("the photo is of a cat.")

    assert run_with(find, tmp_path, monkeypatch) == "the photo is of a cat."


def slow(photo):
    time.sleep(60)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_stage(tmp_path, monkeypatch, end):
    monkeypatch.setattr(detection, "detector", lambda: slow)
    photos = make_photos(tmp_path / "photos", many(4))
    rows = crop.with_places(quality.read_manifest(photos, scraping.COLUMNS))
    how = {"photos": photos, "output": tmp_path, "margin": 0, "max_side": 800}
    stage = multiprocessing.get_context("fork").Process(
        target=lambda: (
            (os.setsid(), signal.signal(signal.SIGINT, signal.default_int_handler))
            and list(cropping.crop_all(rows, 2, **how))
        )
    )
    stage.start()
    children = []
    while len(children) < 2:
        time.sleep(0.02)
        children = psutil.Process(stage.pid).children()
    time.sleep(0.2)  # they sleep in `slow`
    if end == signal.SIGINT:  # Ctrl-C goes to all of them
        os.killpg(stage.pid, end)
    else:
        os.kill(stage.pid, end)
    stage.join(10)
    assert stage.exitcode not in (0, None)
    assert psutil.wait_procs(children, timeout=10)[1] == []


@pytest.mark.mtcnn
@pytest.mark.slow
def test_crop_with_mtcnn_in_two_processes_is_crop_in_one(tmp_path):
    rng = np.random.default_rng(0)
    people = list(invent_people(0).items())[:2]
    photos = [(name, photo_of_one(person, rng)) for name, person in people for _ in range(3)]
    make_photos(tmp_path / "photos", photos)
    for processes in (1, 2):  # in a process of its own: one that imported TensorFlow cannot be forked
        code = (
            "from prunet.faces import cropping; from stages import crop; "
            f"cropping.processes_for = lambda photos: {processes}; crop.main()"
        )
        outputs = (tmp_path / str(processes) / "crops", tmp_path / str(processes) / "crop.json")
        subprocess.run([sys.executable, "-c", code, *CROP, tmp_path / "photos", *outputs], check=True)
    assert len(contents(tmp_path / "1")) == 8
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


@pytest.mark.mtcnn
def test_crop_finds_the_drawn_people(tmp_path):
    rng = np.random.default_rng(0)
    people = list(invent_people(0).items())[:2]
    photos = [(name, photo_of_one(person, rng)) for name, person in people for _ in range(3)]
    photos.append((people[0][0], photo_of_nobody(np.random.default_rng(1))))
    make_photos(tmp_path / "photos", photos)
    run_crop(tmp_path)
    metrics = json.loads((tmp_path / "crop.json").read_text())
    assert (metrics["ok"], metrics["no-face"]) == (6, 1)
    before = (tmp_path / "crops" / "manifest.csv").read_bytes()
    run_crop(tmp_path)
    assert (tmp_path / "crops" / "manifest.csv").read_bytes() == before


# damage between the stages


MANIFESTS = {
    crop: ("photos", lambda folder: (*CROP, folder / "photos", folder / "crops", folder / "crop.json")),
    resize: ("crops", lambda folder: resize_arguments(folder)),
    faces: ("gray", lambda folder: (*FACES, folder / "gray", folder / "data", folder / "faces.json")),
}


def damaged(tmp_path, command, change):
    """Run the stages before `command`, change a row of what it reads; return what it says.

    `change` is given the list of rows and the folder; the first row is boris's.
    """
    make_photos(tmp_path / "photos", many(1))
    if command is not crop:
        run_crop(tmp_path)
    if command is faces:
        run(resize, *resize_arguments(tmp_path))
    name, arguments = MANIFESTS[command]
    rows = read_table(tmp_path / name / "manifest.csv")
    change(rows, tmp_path / name)
    write_table(tmp_path / name / "manifest.csv", list(rows[0]), rows)
    outside = {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    said = refusal(command, *arguments(tmp_path))
    assert "\n" not in said
    assert outside == {path for path in tmp_path.parent.rglob("*") if tmp_path not in path.parents}
    assert not any(path.name.endswith(".partial") for path in tmp_path.iterdir())
    return said.replace(f"{tmp_path / name}/", "")


@pytest.mark.parametrize("command", MANIFESTS, ids=lambda command: command.__name__)
@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"image": "../boris/1.png"}, "its image is '../boris/1.png', not a file of the folder 'boris'"),
        ({"row": "one"}, "its row is 'one', not a whole number"),
    ],
)
def test_a_damaged_row_is_refused(tmp_path, command, change, what):
    said = damaged(tmp_path, command, lambda rows, folder: rows[0].update(change))
    assert (
        said
        == f"manifest.csv, row 1 below the header: {what}; mend it, or run the stage that writes it again."
    )


@pytest.mark.parametrize("command", MANIFESTS, ids=lambda command: command.__name__)
def test_an_unknown_column_is_refused(tmp_path, command):
    said = damaged(tmp_path, command, lambda rows, folder: [row.update(colour="red") for row in rows])
    assert said == "manifest.csv has a column 'colour' that no stage wrote: remove it."


@pytest.mark.parametrize("command", MANIFESTS, ids=lambda command: command.__name__)
def test_a_missing_image_is_refused(tmp_path, command):
    said = damaged(tmp_path, command, lambda rows, folder: (folder / rows[1]["image"]).unlink())
    assert said == f"ada/{2:016x}.png does not exist: run the stage that writes it again."


@pytest.mark.parametrize("command", MANIFESTS, ids=lambda command: command.__name__)
def test_half_an_image_is_refused(tmp_path, command):
    def change(rows, folder):
        path = folder / rows[1]["image"]
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    said = damaged(tmp_path, command, change)
    assert said == f"ada/{2:016x}.png is not an image that can be decoded: remove it."


def test_a_gray_image_of_another_size_is_refused(tmp_path):
    def change(rows, folder):
        Image.new("L", (40, 40)).save(folder / rows[1]["image"])

    said = damaged(tmp_path, faces, change)
    assert said == f"ada/{2:016x}.png is not a gray image of 36 x 36 pixels: run the stage resize again."


# people who are in doubt


def severe(options):
    return [*options[:-1], "refuse"]


def test_crop_warns_of_a_person_of_whom_most_photos_are_rejected_or_refuses(tmp_path):
    photos = many(3)
    for number in (0, 2):
        photos[number][1][0, 0] = 0  # boris keeps one of three
    make_photos(tmp_path / "photos", photos)
    options = [*words("--min-confidence 0.9 --min-size 24 --keep largest --margin 0.25 --max-side 800")]
    options += words("--min-accepted 0.5 --doubtful warn")
    finding = (
        "1 person has too few photos with a usable face (none, or less than 50%): boris (1 of 3 photos): "
        "list better photos of them, or leave them out"
    )
    assert run_crop(tmp_path, options) == f"warning: {finding}\n"
    before = contents(tmp_path)
    arguments = (tmp_path / "photos", tmp_path / "crops", tmp_path / "crop.json")
    assert refusal(crop, *severe(options), *arguments) == (
        f"{finding} (`doubtful: warn` makes this a warning)."
    )
    assert contents(tmp_path) == before


def test_crop_warns_of_a_photo_of_two_people_or_refuses(tmp_path):
    photos = make_photos(tmp_path / "photos", many(2), failed=[4])
    rows = read_table(photos / "manifest.csv")
    listed = [scraping.Row(row, url=f"{row['label']}.png", status="") for row in rows]
    found = {"status": "ok", "detail": "", "image": "1.png"}
    scraping.settle(listed, {"boris.png": found, "ada.png": found})
    rows[3] |= {key: listed[1][key] for key in ("status", "detail")}  # as ingest says it: row 1 is boris
    write_table(photos / "manifest.csv", LIST_COLUMNS, rows)
    finding = "1 photo is listed for two people: boris in row 1 and ada in row 4: take the wrong row of each"
    assert run_crop(tmp_path).startswith(f"warning: {finding}")
    arguments = (photos, tmp_path / "crops", tmp_path / "crop.json")
    assert refusal(crop, *severe(CROP), *arguments).startswith(finding)


def test_faces_warns_of_people_with_few_faces_and_of_faces_alike_or_refuses(tmp_path):
    photos = many(20)
    twin = np.array(Image.fromarray(photos[7][1]).resize((120, 96)))  # ada's photo, larger
    twin[0, 0] = 1
    photos = [*photos, ("boris", twin)]
    make_photos(tmp_path / "photos", photos)
    run_crop(tmp_path)
    run(resize, *resize_arguments(tmp_path))
    outputs = (tmp_path / "gray", tmp_path / "faces.safetensors", tmp_path / "faces.json")
    few = "1 person has fewer than 21 faces: ada (20): list more photos of them, or leave them out"
    alike = (
        "1 pair of images of two people with at most 6 of 64 bits between their perceptual hashes: "
        f"ada/{8:016x}.png and boris/{41:016x}.png: write the wrong image of each pair into the exclude list"
    )
    options = [*SHARES, *words("--min-faces 21 --doubtful warn")]
    assert run(faces, *options, *outputs) == f"warning: {few}\nwarning: {alike}\n"
    before = contents(tmp_path)
    said = refusal(faces, *severe(options), *outputs)
    assert said == f"{few}; {alike} (`doubtful: warn` makes this a warning)."
    assert contents(tmp_path) == before


# resize


def test_resize_writes_gray_faces_and_leaves_out_what_the_list_names(tmp_path):
    empty = texture(99)
    empty[0, 0] = 0
    make_photos(tmp_path / "photos", [*many(3), ("ada", empty)])
    run_crop(tmp_path)
    lines = [
        {"label": "ada", "image": f"{2:016x}", "reason": "wrong person"},
        {"label": " boris", "image": f" {3:016x}", "reason": " blurred, and dark"},
        {"label": "boris", "image": f"{4:016x}", "reason": "is ada's"},
    ]
    write_table(tmp_path / "exclude.csv", ("label", "image", "reason"), lines)
    warning = run(resize, *resize_arguments(tmp_path))
    assert f"no face of boris is named '{4:016x}'" in warning
    assert warning.count("\n") == 1

    rows = read_table(tmp_path / "gray" / "manifest.csv")
    assert tuple(rows[0]) == quality.GRAY_COLUMNS
    assert [(row["status"], row["image"], row["detail"]) for row in rows[:4]] == [
        ("ok", f"boris/{1:016x}.png", ""),
        ("excluded", "", "wrong person"),
        ("excluded", "", "blurred, and dark"),
        ("ok", f"ada/{4:016x}.png", ""),
    ]
    assert [row["place"] for row in rows] == ["0", "0", "1", "1", "2", "2"]
    assert rows[1]["crop"] == f"ada/{2:016x}.png"
    pictures = {str(path.relative_to(tmp_path / "gray")) for path in (tmp_path / "gray").rglob("*.png")}
    assert pictures == {row["image"] for row in rows if row["status"] == "ok"}
    for picture in pictures:
        with Image.open(tmp_path / "gray" / picture) as image:
            assert (image.size, image.mode) == ((36, 36), "L")
    assert sorted(path.name for path in (tmp_path / "sheets").iterdir()) == ["ada.png", "boris.png"]
    metrics = json.loads((tmp_path / "resize.json").read_text())
    assert metrics == {"ok": 4, "excluded": 2, "exclude_unmatched": 1}


def test_resize_names_a_person_of_whom_nothing_is_left(tmp_path):
    make_photos(tmp_path / "photos", many(1))
    run_crop(tmp_path)
    line = {"label": "ada", "image": f"{2:016x}", "reason": "a drawing"}
    write_table(tmp_path / "exclude.csv", ("label", "image", "reason"), [line])
    assert run(resize, *resize_arguments(tmp_path)) == "label ada: all of its 1 faces are left out\n"


def test_resize_refuses_an_exclude_list_without_a_column(tmp_path):
    make_photos(tmp_path / "photos", many(1))
    run_crop(tmp_path)
    write_table(tmp_path / "exclude.csv", ("label", "image"), [])
    said = refusal(resize, *resize_arguments(tmp_path))
    assert "exclude.csv has no column 'reason' (its first line names: label, image)" in said
    assert not (tmp_path / "gray").exists()


def test_resize_refuses_a_folder_without_a_manifest(tmp_path):
    (tmp_path / "crops").mkdir()
    said = refusal(resize, *resize_arguments(tmp_path))
    assert said == f"{tmp_path / 'crops' / 'manifest.csv'} does not exist."


# faces


def test_faces_writes_the_dataset_in_the_order_of_the_list(tmp_path):
    sides = run_all(tmp_path, many(20))
    data = dataset.load(tmp_path / "faces.safetensors")
    assert data["class_names"] == ["ada", "boris"]
    assert data["images"].shape == (40, 1, 36, 36)
    assert data["labels"].tolist() == [1, 0] * 20
    for start in (0, 20):  # every block of ten places of a label
        for label in (0, 1):
            block = data["split"][start : start + 20][data["labels"][start : start + 20] == label]
            assert np.bincount(block).tolist() == [7, 2, 1]
    with Image.open(tmp_path / "gray" / "ada" / f"{2:016x}.png") as image:
        np.testing.assert_array_equal(data["images"][1, 0], np.asarray(image))
    assert len(sides) == 40
    assert json.loads((tmp_path / "faces.json").read_text()) == {
        "images": 40,
        "classes": 2,
        "train": 28,
        "val": 8,
        "test": 4,
        "near_duplicates_following": 0,
        "near_duplicates_left_out": 0,
    }


def test_rows_that_are_added_fail_or_are_left_out_move_no_other(tmp_path):
    photos = many(25)
    before = run_all(tmp_path / "before", photos[:40])
    added = run_all(tmp_path / "added", photos)
    assert {row: added[row] for row in before} == before

    (tmp_path / "dropped").mkdir()
    line = {"label": "boris", "image": f"{5:016x}", "reason": "wrong person"}
    write_table(tmp_path / "dropped" / "exclude.csv", ("label", "image", "reason"), [line])
    dropped = run_all(tmp_path / "dropped", photos[:40], failed=[3, 12])
    assert before.keys() - dropped.keys() == {"3", "5", "12"}
    assert {row: before[row] for row in dropped} == dropped


def test_near_duplicates_follow_the_first(tmp_path):
    photos = many(20)
    alone = run_all(tmp_path / "alone", photos)
    test_row = next(int(row) for row, side in alone.items() if side == 2)
    train_row = next(int(row) for row, side in alone.items() if side == 0 and int(row) > test_row)
    label, photo = photos[train_row - 1][0], photos[test_row - 1][1]
    photos[train_row - 1] = (label, np.array(Image.fromarray(photo).resize((120, 96))))
    photos[train_row - 1][1][0, 0] = 1
    followed = run_all(tmp_path / "followed", photos)
    assert followed == alone | {str(train_row): 2}
    metrics = json.loads((tmp_path / "followed" / "faces.json").read_text())
    assert (metrics["near_duplicates_following"], metrics["near_duplicates_left_out"]) == (1, 0)


def test_faces_refuses_shares_that_do_not_sum_to_100(tmp_path):
    make_photos(tmp_path / "photos", many(1))
    run_crop(tmp_path)
    run(resize, *resize_arguments(tmp_path))
    options = words("--train 70 --val 20 --test 20 --near_duplicate_distance 6 --seed 0")
    options += words("--min_faces 1 --doubtful warn")
    said = refusal(
        faces, *options, tmp_path / "gray", tmp_path / "faces.safetensors", tmp_path / "faces.json"
    )
    assert said.startswith("The shares of train, val and test (70, 20, 20) must be at least 1 percent each")
    assert said.endswith("sum to 100, not 110.")


def test_faces_refuses_a_person_with_too_few_images(tmp_path):
    photos = [(label, photo) for label, photo in many(12) if label == "boris"] + many(1)
    make_photos(tmp_path / "photos", photos)
    run_crop(tmp_path)
    run(resize, *resize_arguments(tmp_path))
    said = refusal(faces, *FACES, tmp_path / "gray", tmp_path / "faces.safetensors", tmp_path / "faces.json")
    assert "class 'ada' has 1 images and none of them falls into the" in said
    assert said.endswith("add images of it, leave it out, or try another seed.")
    assert not (tmp_path / "faces.json").exists()


@pytest.mark.parametrize("command", [crop, resize, faces])
def test_help_names_every_option_and_has_no_defaults(command):
    text = invoke(command, "--help").output
    for parameter in command.main.params:
        assert parameter.required
        assert parameter.name in text.lower().replace("-", "_")
