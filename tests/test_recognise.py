import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from prunet.base.errors import InputError
from prunet.data import dataset
from prunet.data.decoding import load_rgb
from prunet.data.faces import detection
from prunet.deployment import compact, inference
from prunet.models import built_in as models
from prunet.recognition import drawing, faces, pictures
from prunet.recognition.tables import printable, table
from prunet.recognition.thresholds import unknown_threshold
from prunet.training import batches
from stages import crop, ingest, recognise, resize, sample
from stages import faces as faces_stage
from tests.conftest import CHECKOUT
from tests.test_faces_stages import (
    fake,
    invoke,
    make_photos,
    many,
    read_table,
    refusal,
    run,
    texture,
    write_table,
)

torch.set_num_threads(1)
VALUES = yaml.safe_load((CHECKOUT / "params.yaml").read_text())
FOUND = VALUES["crop"] | {"size": VALUES["resize"]["size"]}


@pytest.fixture(autouse=True)
def fake_detector(request, monkeypatch):
    if "mtcnn" not in request.keywords:
        monkeypatch.setattr(detection, "detector", lambda: fake)


@torch.no_grad()
def save_ticket(path, data, found=FOUND):
    """Save a light-cnn-9 with random weights, of which every second one is pruned; return it and `about`.

    Its answers differ from image to image: the mean of each class's logits is 0. (Training would end here:
    PyTorch's optimizers and TensorFlow in one process crash.)
    """
    about = {
        "model": "light-cnn-9",
        "preparation": batches.preparation(data, 16, "crop-flip"),
        "class_names": data["class_names"],
        "study": "faces",
        "threshold": 0.0,
        "faces": found,
    }
    model = models.MODELS["light-cnn-9"]((1, 16, 16), len(data["class_names"])).eval()
    weights = models.initial_weights(model, 3, "glorot")
    masks = {name: torch.arange(weights[name].numel()) % 2 == 0 for name in models.prunable(model)}
    masks = {name: mask.view_as(weights[name]) for name, mask in masks.items()}
    model.load_state_dict(weights | {name: weights[name] * mask for name, mask in masks.items()})
    model.output.bias -= model(batches.prepare(torch.from_numpy(data["images"]), about["preparation"])).mean(
        0
    )
    weights = {name: values.numpy() for name, values in model.state_dict().items()}
    compact.save(path, weights, {name: mask.numpy() for name, mask in masks.items()}, about)
    return weights, about


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    rng = np.random.default_rng(0)
    data = {
        "images": rng.integers(0, 256, (8, 1, FOUND["size"], FOUND["size"]), np.uint8),
        "split": np.zeros(8, np.uint8),
        "class_names": ["ada", "Bo the very long-named"],
    }
    path = tmp_path_factory.mktemp("ticket") / "ticket.safetensors"
    save_ticket(path, data)
    return path


def write_photo(path, number=1, count=1):
    """Write a photo on which `fake` finds `count` faces."""
    photo = texture(number)
    photo[0, 0] = count
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path)
    return photo


def rows_of(ticket, *arguments, folder):
    run(recognise, ticket, *arguments, "--csv", folder / "rows.csv")
    return read_table(folder / "rows.csv")


def options(block, **changes):
    """Spell the values of a block of params.yaml as DVC does, which leaves out what is false."""
    values = {name: value for name, value in (VALUES[block] | changes).items() if value is not False}
    return [part for name, value in values.items() for part in (f"--{name}", value) if part is not True]


def prove_equality(folder):
    """Make the dataset file of folder/photos; recognise the photos of its test split as its images are."""
    write_table(folder / "exclude.csv", ("label", "image", "reason"), [])
    outputs = (folder / "gray", folder / "sheets", folder / "resize.json")
    run(crop, *options("crop"), folder / "photos", folder / "crops", folder / "crop.json")
    run(resize, *options("resize", exclude=folder / "exclude.csv"), folder / "crops", *outputs)
    split = options("split", train=40, val=20, test=40)
    run(faces_stage, "--seed", 0, *split, folder / "gray", folder / "data", folder / "faces.json")
    data = dataset.load(folder / "data")
    weights, about = save_ticket(folder / "ticket", data)

    test = data["split"] == dataset.SPLITS.index("test")
    probabilities = inference.classify(inference.build(weights, about), data["images"][test], about)
    expected, right = probabilities.argmax(1), data["labels"][test]
    source = {row["image"]: row["photo"] for row in read_table(folder / "crops" / "manifest.csv")}
    photo_of = {
        load_rgb(folder / "gray" / row["image"])[..., 0].tobytes(): folder / "photos" / source[row["image"]]
        for row in read_table(folder / "gray" / "manifest.csv")
    }
    photos = [photo_of[image.tobytes()] for image in data["images"][test]]
    assert len(set(photos)) == len(photos) > 10

    rows = rows_of(folder / "ticket", "--keep", FOUND["keep"], *photos, folder=folder)
    found = {row["file"]: row for row in rows}
    assert len(rows) == len(photos)
    answers = [data["class_names"].index(found[str(photo)]["name"]) for photo in photos]
    assert answers == expected.tolist()
    assert np.mean(answers == right) == np.mean(expected == right)
    shown = [float(found[str(photo)]["probability"]) for photo in photos]
    np.testing.assert_allclose(shown, probabilities.max(1), atol=6e-5)  # it has four decimals
    assert len(set(answers)) > 1


def test_photos_are_recognised_as_the_images_of_the_dataset_file(tmp_path):
    make_photos(tmp_path / "photos", many(20))
    prove_equality(tmp_path)


@pytest.mark.mtcnn
def test_with_mtcnn_photos_are_recognised_as_the_images_of_the_dataset_file(tmp_path):
    run(sample, "--seed", 0, "--photos", 5, tmp_path / "sample")
    places = {"source": tmp_path / "sample" / "list.csv", "store": tmp_path / "store"}
    run(ingest, *options("ingest", **places), tmp_path / "photos", tmp_path / "ingest.json")
    prove_equality(tmp_path)


# what is found


def test_all_usable_faces_are_named_from_left_to_right(ticket, tmp_path):
    write_photo(tmp_path / "in" / "two.png", count=2)
    rows = rows_of(ticket, tmp_path / "in", folder=tmp_path)
    assert [(row["x"], row["y"], row["width"], row["height"]) for row in rows] == [
        ("20", "10", "29", "39"),
        ("20", "10", "30", "40"),
    ]
    assert [row["status"] for row in rows] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("keep", "widths"), [("largest", ["30"]), ("surest", ["28"]), ("all", ["28", "29", "30"])]
)
def test_keep_says_which_faces(ticket, tmp_path, keep, widths):
    write_photo(tmp_path / "in" / "three.png", count=3)
    rows = rows_of(ticket, tmp_path / "in", "--keep", keep, folder=tmp_path)
    assert [row["width"] for row in rows] == widths


def test_faces_that_are_not_usable_are_not_named(ticket, tmp_path):
    write_photo(tmp_path / "in" / "many.png", count=9)  # widths 30 to 22, of which 24 are enough
    rows = rows_of(ticket, tmp_path / "in", folder=tmp_path)
    assert [row["width"] for row in rows] == ["24", "25", "26", "27", "28", "29", "30"]


def test_below_the_threshold_a_face_is_unknown(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (sure,) = rows_of(ticket, tmp_path / "in", folder=tmp_path)
    (unsure,) = rows_of(ticket, tmp_path / "in", "--threshold", 1, folder=tmp_path)
    assert sure["name"] == sure["likeliest"] == unsure["likeliest"] != "unknown"
    assert unsure["name"] == "unknown"
    assert sure["probability"] == unsure["probability"]


def test_photos_without_faces_and_unreadable_ones_have_rows_and_the_others_are_done(ticket, tmp_path):
    folder = tmp_path / "in"
    write_photo(folder / "b" / "one.png")
    write_photo(folder / "empty.png", count=0)
    (folder / "cut.png").write_bytes((folder / "b" / "one.png").read_bytes()[:500])
    (folder / "notes.txt").write_text("no photo, found in a folder")
    (folder / ".hidden.png").write_text("left out")
    (tmp_path / "page.jpg").write_text("<html>, named by a person")
    result = invoke(recognise, ticket, folder, tmp_path / "page.jpg", "--csv", tmp_path / "rows.csv")
    assert result.exit_code == 0
    found = {Path(row["file"]).name: row["status"] for row in read_table(tmp_path / "rows.csv")}
    assert found == {
        "one.png": "ok",
        "empty.png": "no-face",
        "cut.png": "broken-image",
        "page.jpg": "not-an-image",
    }
    assert (
        "photos: 2, faces: 1, unknown: 0, photos without a face: 1, unreadable files: 2, other files: 1"
        in result.stderr
    )
    assert "photos/s" in result.stderr
    assert "faces/s" in result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 5
    assert any(line.endswith("no-face: No face was found.") for line in lines)
    assert len({line.index("%") for line in lines if "%" in line}) == 1


def test_only_photos_without_faces_is_no_error(ticket, tmp_path):
    write_photo(tmp_path / "in" / "empty.png", count=0)
    (row,) = rows_of(ticket, tmp_path / "in", folder=tmp_path)
    assert (row["status"], row["name"], row["probability"]) == ("no-face", "", "")


def test_photos_are_known_by_content_not_by_name(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (tmp_path / "in" / "one.png").rename(tmp_path / "in" / "one.doc")
    (row,) = rows_of(ticket, tmp_path / "in", folder=tmp_path)
    assert row["status"] == "ok"


# what is written


def test_json_holds_what_the_csv_holds(ticket, tmp_path):
    write_photo(tmp_path / "in" / "two.png", count=2)
    write_photo(tmp_path / "in" / "zero.png", count=0)
    rows = rows_of(
        ticket, tmp_path / "in", "--threshold", "0.25", "--json", tmp_path / "rows.json", folder=tmp_path
    )
    said = json.loads((tmp_path / "rows.json").read_text())
    assert (said["threshold"], said["keep"]) == (0.25, "all")
    as_text = [
        {key: "" if value is None else str(value) for key, value in row.items()} for row in said["results"]
    ]
    assert as_text == rows


def test_drawn_photos_lie_where_the_photos_lay(ticket, tmp_path):
    plain = write_photo(tmp_path / "in" / "a" / "one.png")
    write_photo(tmp_path / "in" / "b.bmp", count=0)
    (tmp_path / "in" / "notes.txt").write_text("")
    run(recognise, ticket, tmp_path / "in", "--output", tmp_path / "out")
    assert sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*")) == [
        "a/one.png",
        "b.bmp.png",
    ]
    drawn = np.asarray(Image.open(tmp_path / "out" / "a" / "one.png"))
    assert drawn.shape == plain.shape
    assert tuple(drawn[30, 20]) == drawing.KNOWN  # the left side of the face's box, at (20, 10)
    assert (drawn[60:] == plain[60:]).all()  # below it


def test_an_output_that_exists_is_left_alone(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (tmp_path / "out").mkdir()
    assert "out exists: name a new folder" in refusal(
        recognise, ticket, tmp_path / "in", "--output", tmp_path / "out"
    )
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "named", [["a/1.png", "b/1.png"], ["a", "b/1.png"], ["a/../b", "a"], ["a", "a/1.png", "b"]]
)
def test_names_are_below_the_folder_that_holds_all(tmp_path, named):
    for name in ("a/1.png", "b/1.png"):
        write_photo(tmp_path / name)
    sources = pictures.gather([tmp_path / name for name in named])
    assert [source.name for source in sources] == ["a/1.png", "b/1.png"]
    assert [source.named for source in sources] == [f"{s.name}" in named for s in sources]


def test_two_photos_are_not_written_to_one_file(tmp_path):
    photo = Image.fromarray(texture(1))
    drawing.save(photo, tmp_path, "a.webp.png")
    with pytest.raises(InputError, match=r"written as a\.webp\.png"):
        drawing.save(photo, tmp_path, "a.webp")
    drawing.save(photo, tmp_path, "deep/a.JPEG")
    assert (tmp_path / "deep" / "a.JPEG").read_bytes()[:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize("box", [(-5.0, -8.0, 300.0, 300.0), (95.0, 70.0, 40.0, 40.0), (0.0, 0.0, 1.0, 1.0)])
def test_labels_stay_in_the_photo(box):
    photo = np.zeros((80, 100, 3), np.uint8)
    drawn = np.asarray(drawing.draw(photo, [drawing.Label(box, "somebody with a name 100%", known=False)]))
    assert drawn.shape == photo.shape
    assert (drawn == 255).all(2).any()  # white letters


def test_the_table_lines_up_and_takes_any_name():
    rows = [
        {"file": "a\n\x1b[31mb", "name": "李四", "p": "5.0%"},
        {"file": "c\udcff", "name": "Bo", "p": "100.0%"},
    ]
    assert table({"file": "<", "name": "<", "p": ">", "note": "<"}, rows) == [
        "file          name       p",
        r"a\n\x1b[31mb  李四    5.0%",
        r"c\udcff       Bo    100.0%",
    ]
    assert printable("plain name ß") == "plain name ß"


# what is refused


def test_a_ticket_of_digits_is_refused(tmp_path):
    data = {
        "images": np.random.default_rng(0).integers(0, 256, (8, 1, FOUND["size"], FOUND["size"]), np.uint8),
        "split": np.zeros(8, np.uint8),
        "class_names": ["0", "1"],
    }
    save_ticket(tmp_path / "ticket", data, None)
    write_photo(tmp_path / "one.png")
    said = refusal(recognise, tmp_path / "ticket", tmp_path / "one.png")
    assert "is not a ticket of faces (its classes are 0, 1, ...)" in said
    assert "stages.read_digits" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"margin": 1e9}, "faces.margin: Input should be less than"),
        ({"size": 35}, "two sizes"),
        ({"max_side": "800"}, "faces.max_side: Input should be a valid integer"),
    ],
)
def test_a_ticket_that_cannot_be_is_refused(ticket, change, said):
    about = compact.load(ticket)[2]
    with pytest.raises(InputError, match=said):
        faces.settings(about | {"faces": FOUND | change}, ticket)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda place: None, "does not exist or is no file"),
        (lambda place: place.mkdir(), "there is no file in it"),
        (lambda place: place.write_text("text"), "None of 1 files could be read as a picture, for example"),
        (
            lambda place: (place.mkdir(), (place / "a.txt").write_text("text")),
            "None of 1 files could be read",
        ),
    ],
)
def test_places_without_a_photo_are_refused(ticket, tmp_path, make, said):
    make(tmp_path / "in")
    assert said in refusal(recognise, ticket, tmp_path / "in", "--csv", tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


def test_a_missing_ticket_is_refused(tmp_path):
    write_photo(tmp_path / "one.png")
    assert "ticket does not exist" in refusal(recognise, tmp_path / "ticket", tmp_path / "one.png")


def test_a_photo_of_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    write_photo(tmp_path / "one.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 7999)
    with pytest.raises(pictures.Rejection, match="too-large: 100 x 80 pixels"):
        pictures.load(tmp_path / "one.png")


@pytest.mark.slow
def test_help_needs_no_tensorflow():
    code = (
        "import sys; from click.testing import CliRunner; from stages import recognise; "
        "assert CliRunner().invoke(recognise.main, ['--help']).exit_code == 0; "
        "sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, check=False).returncode == 0


# the threshold


def sure_of(*confidences):
    """Answers of two classes, all for class 0."""
    return np.array([[confidence, 1 - confidence] for confidence in confidences], np.float32)


@pytest.mark.parametrize(
    ("keep", "threshold"),
    [(1.0, 0.5111), (0.95, 0.5111), (0.75, 0.6), (0.5, 0.7), (0.26, 0.7), (0.25, 0.9), (0.01, 0.9)],
)
def test_threshold_keeps_the_share_of_the_right_answers(keep, threshold):
    probabilities = sure_of(0.9, 0.51119, 0.7, 0.6, 0.99, 0.52)
    labels = np.array([0, 0, 0, 0, 1, 1])  # the surest answer is wrong
    found = unknown_threshold(probabilities, labels, keep)
    assert found == pytest.approx(threshold, abs=1.01e-4)  # 0.9 in float32 is just below 0.9
    known = probabilities.max(1)[:4] >= found
    assert known.mean() >= keep
    assert (probabilities.max(1)[:4] >= found + 2e-4).mean() < keep


def test_threshold_is_rounded_down_to_four_decimals():
    assert unknown_threshold(sure_of(0.87659), np.array([0])) == 0.8765


def test_threshold_without_a_right_answer_knows_nobody():
    assert unknown_threshold(sure_of(0.9, 0.8), np.array([1, 1])) == 1.0


def test_threshold_takes_a_share_that_floats_do_not_hit():
    probabilities = sure_of(*np.linspace(0.995, 0.6, 100))
    found = unknown_threshold(probabilities, np.zeros(100, int), keep=0.07)  # 7.000000000000001 of 100
    assert (probabilities.max(1) >= found).sum() == 7
