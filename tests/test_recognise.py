import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.faces import detection
from prunet.data.images import dataset, decoding
from prunet.data.images.decoding import load_rgb
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_one
from prunet.deployment import compact, inference
from prunet.models import built_in as models
from prunet.recognition import annotation, pictures
from prunet.recognition.output import format_table, printable
from prunet.recognition.settings import face_settings
from prunet.training import batches
from stages import crop, images, recognise, resize
from tests import toy_faces
from tests.toy_faces import fake_faces, make_photos, many, read_table, texture
from tests.toy_networks import prune, single_weights
from tests.toy_tools import invoke, refusal, results

torch.set_num_threads(1)
SIZE = 36  # pixels a side of a stored face
FACES = toy_faces.CROP | {"size": SIZE}


@pytest.fixture(autouse=True)
def fake_detector(request, monkeypatch):
    if "mtcnn" not in request.keywords:
        monkeypatch.setattr(detection, "detector", lambda: fake_faces)


@torch.no_grad()
def save_ticket(path, data, faces=FACES, **more):
    """Save a light-cnn-9 with random weights, half of them pruned; return its weights and metadata.

    The mean logit of each class is 0, so that answers differ between images. (The network is not trained,
    because PyTorch's optimizers and TensorFlow crash in one process.)
    """
    preparation, names = batches.preparation(data, 16, "crop-flip"), data["class_names"]
    metadata = {"model": "light-cnn-9", "preparation": preparation, "class_names": names}
    metadata |= {"study": "faces", "threshold": 0.0, "faces": faces} | more
    model, masks = prune(models.MODELS["light-cnn-9"]((1, 16, 16), len(names)), single_weights, 0.5, seed=3)
    inputs = batches.prepare(torch.from_numpy(data["images"]), preparation)
    model.float().output.bias -= model(inputs).mean(0)
    weights = {name: values.numpy() for name, values in model.state_dict().items()}
    compact.save(path, weights, masks, metadata)
    return weights, metadata


def noise(*class_names):
    """Return a dataset of eight images of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (8, 1, SIZE, SIZE), np.uint8)
    return {"images": pixels, "split": np.zeros(8, np.uint8), "class_names": list(class_names)}


@pytest.fixture(scope="module")
def ticket(tmp_path_factory):
    path = tmp_path_factory.mktemp("ticket") / "ticket.safetensors"
    save_ticket(path, noise("ada", "Bo the very long-named"))
    return path


def write_photo(path, number=1, faces=1):
    """Write a photo on which `fake_faces` finds `faces` faces."""
    photo = texture(number, faces)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photo).save(path)
    return photo


def prove_equality(folder):
    """Make a dataset of folder/photos and recognise the photos of its test split exactly like its images."""
    toy_faces.exclude(folder)
    for stage, changes in ((crop, {}), (resize, {}), (images, {"test": 0.5})):
        toy_faces.run(stage, folder, **changes)
    data = dataset.load(folder / "data.safetensors")
    weights, metadata = save_ticket(folder / "ticket", data)

    test = data["split"] == dataset.SPLITS.index("test")
    probabilities = inference.classify(inference.build(weights, metadata), data["images"][test], metadata)
    photos = [photo_of(image, folder) for image in data["images"][test, 0]]
    assert len(set(photos)) == len(photos) > 8
    rows = results(recognise, folder, folder / "ticket", "--keep", "largest", *photos)
    found = {row["file"]: row for row in rows}
    assert len(rows) == len(photos)
    answers = [data["class_names"].index(found[str(photo)]["name"]) for photo in photos]
    assert answers == probabilities.argmax(1).tolist()
    assert len(set(answers)) > 1
    printed = [float(found[str(photo)]["probability"]) for photo in photos]
    np.testing.assert_allclose(printed, probabilities.max(1), atol=6e-5)  # four decimals are written


def photo_of(image, folder):
    """Return the photo from which a gray image (S, S) was made."""
    photos = {row["image"]: row["photo"] for row in read_table(folder / "crops" / "manifest.csv")}
    rows = read_table(folder / "gray" / "manifest.csv")
    (found,) = (r for r in rows if (load_rgb(folder / "gray" / r["image"])[..., 0] == image).all())
    return folder / "photos" / photos[found["image"]]


def test_photos_are_recognised_as_the_images_of_the_dataset_file(tmp_path):
    make_photos(tmp_path / "photos", many(12))
    prove_equality(tmp_path)


@pytest.mark.mtcnn
def test_with_mtcnn_photos_are_recognised_as_the_images_of_the_dataset_file(tmp_path):
    drawn = list(invent_people(0).items())[:3]
    rng = np.random.default_rng(0)
    make_photos(tmp_path / "photos", [(name, photo_of_one(person, rng)) for name, person in 8 * drawn])
    prove_equality(tmp_path)


# detection


@pytest.mark.parametrize(
    ("faces", "keep", "widths"),
    [
        (3, "largest", [30]),
        (3, "surest", [28]),
        (3, "all", [28, 29, 30]),
        (9, "all", [24, 25, 26, 27, 28, 29, 30]),  # and too small to use: 22 and 23
    ],
)
def test_the_usable_faces_that_the_rule_keeps_are_named(ticket, tmp_path, faces, keep, widths):
    write_photo(tmp_path / "in" / "many.png", faces=faces)
    rows = results(recognise, tmp_path, ticket, tmp_path / "in", "--keep", keep)
    assert [(row["status"], row["x"], row["y"], row["width"], row["height"]) for row in rows] == [
        ("ok", "20", "10", str(width), str(width + 10)) for width in widths
    ]


def test_below_the_threshold_a_face_is_unknown(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (sure,) = results(recognise, tmp_path, ticket, tmp_path / "in")
    (unsure,) = results(recognise, tmp_path, ticket, tmp_path / "in", "--threshold", 1)
    assert sure["name"] == sure["likeliest"] == unsure["likeliest"] != ""
    assert (sure["known"], unsure["known"], unsure["name"]) == ("True", "False", "")
    assert sure["probability"] == unsure["probability"]


def test_photos_without_faces_and_unreadable_files_have_rows_of_their_own(ticket, tmp_path):
    folder = tmp_path / "in"
    write_photo(folder / "b" / "one.png")
    write_photo(folder / "empty.png", faces=0)
    (folder / "cut.png").write_bytes((folder / "b" / "one.png").read_bytes()[:500])
    (folder / "notes.txt").write_text("not a photo, found in a folder")
    (folder / ".hidden.png").write_text("skipped")
    (tmp_path / "page.jpg").write_text("<html>, named by the user")
    result = invoke(recognise, ticket, folder, tmp_path / "page.jpg", "--csv", tmp_path / "rows.csv")
    assert result.exit_code == 0
    found = {Path(row["file"]).name: row["status"] for row in read_table(tmp_path / "rows.csv")}
    failed = {"empty.png": "no-face", "cut.png": "broken-image", "page.jpg": "not-an-image"}
    assert found == {"one.png": "ok"} | failed
    counts = "photos: 2, faces: 1, unknown: 0, photos without a face: 1, unreadable files: 2, other files: 1"
    assert counts in result.stderr
    assert "photos/s" in result.stderr
    assert "faces/s" in result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 5
    assert any(line.endswith("no-face: No face was found.") for line in lines)
    assert len({line.index("%") for line in lines if "%" in line}) == 1


@pytest.mark.field
@pytest.mark.parametrize("name", ["unknown", "None", "False", "unknown; likeliest: ada"])
def test_a_person_of_any_name_can_be_told_from_an_unknown_face(tmp_path, name):
    save_ticket(tmp_path / "ticket", noise(name, "ada"))
    for number in range(12):
        write_photo(tmp_path / "in" / f"{number}.png", number)
    answers = {}
    for threshold in ("0", "1"):
        given = tmp_path / "ticket", tmp_path / "in", "--threshold", threshold
        files = "--csv", tmp_path / "rows.csv", "--json", tmp_path / "rows.json", "--output"
        done = invoke(recognise, *given, *files, tmp_path / f"drawn{threshold}")
        assert done.exit_code == 0, done.output
        lines = done.stdout.splitlines()[1:]
        written = json.loads((tmp_path / "rows.json").read_text())["results"]
        answers[threshold] = list(zip(lines, read_table(tmp_path / "rows.csv"), written, strict=True))
    # A random network gives some photos a probability of exactly 1.
    namesakes = [number for number, (*_, row) in enumerate(answers["0"]) if row["name"] == name]
    namesakes = [number for number in namesakes if answers["1"][number][1]["probability"] != "1.0"]
    assert namesakes
    for number in namesakes:
        line, texts, row = answers["0"][number]
        assert (row["known"], texts["known"], texts["name"]) == (True, "True", name)
        assert line.endswith("%")
        line, texts, row = answers["1"][number]
        assert (row["known"], row["name"], row["likeliest"]) == (False, None, name)
        assert (texts["known"], texts["name"]) == ("False", "")
        assert line.endswith(f"%  unknown; likeliest: {name}")
        drawn = [(tmp_path / f"drawn{threshold}" / Path(row["file"]).name).read_bytes() for threshold in "01"]
        assert drawn[0] != drawn[1]


@pytest.mark.field
def test_on_drawn_photos_only_a_name_has_a_probability():
    known = {"known": True, "name": "unknown", "probability": 0.9312}
    assert annotation.text(known) == "unknown 93%"
    assert annotation.text(known | {"known": False, "name": None}) == "unknown"


@pytest.mark.field
@pytest.mark.parametrize(
    ("measured", "said"), [(True, "30% of strangers get a name"), (False, "at least 30% of strangers get a")]
)
def test_the_report_says_how_many_strangers_get_a_name(tmp_path, measured, said):
    rows = [
        {
            "threshold": level,
            "true_accepts": 0.9,
            "false_accepts": share,
            "false_accepts_interval": [0.1, 0.5],
        }
        for level, share in ((0.5, 0.6), (0.9, 0.3))
    ]
    rates = {"measured": measured, "strangers": 40, "test_images": 8, "table": rows}
    save_ticket(tmp_path / "ticket", noise("ada", "boris"), rates=rates)
    write_photo(tmp_path / "in" / "one.png")
    options = "--threshold", "0.85", "--json", tmp_path / "rows.json"
    done = invoke(recognise, tmp_path / "ticket", tmp_path / "in", *options)
    assert f"At threshold 0.9, {said}" in done.stderr
    assert json.loads((tmp_path / "rows.json").read_text())["rates"]["false_accepts"] == 0.3


@pytest.mark.field
def test_a_ticket_without_rates_recognises_all_the_same(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    assert "strangers" not in invoke(recognise, ticket, tmp_path / "in").stderr


def test_a_rotated_jpeg_is_loaded_as_for_the_dataset(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # rotated by 90 degrees
    Image.fromarray(texture(1)).save(tmp_path / "photo.jpg", exif=exif)
    photo = pictures.load(tmp_path / "photo.jpg")
    assert photo.shape == (100, 80, 3)
    np.testing.assert_array_equal(photo, load_rgb(tmp_path / "photo.jpg"))


def test_photos_without_any_face_are_not_an_error(ticket, tmp_path):
    write_photo(tmp_path / "in" / "empty.png", faces=0)
    (row,) = results(recognise, tmp_path, ticket, tmp_path / "in")
    assert (row["status"], row["name"], row["probability"]) == ("no-face", "", "")


def test_photos_are_recognised_by_content_and_not_by_name(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (tmp_path / "in" / "one.png").rename(tmp_path / "in" / "one.doc")
    (row,) = results(recognise, tmp_path, ticket, tmp_path / "in")
    assert row["status"] == "ok"


# output


@pytest.mark.field
@pytest.mark.parametrize("broken", [False, True])
def test_lines_of_libraries_are_held_back_unless_they_fail(monkeypatch, capfd, broken):
    def build():
        os.write(2, b"I0000 from C++\n")
        if broken:
            raise ImportError
        return fake_faces

    monkeypatch.undo()
    monkeypatch.setattr(detection, "_build", build)
    try:
        assert detection.detector() is fake_faces
    except ImportError:
        assert broken
    os.write(2, b"ours\n")
    assert capfd.readouterr().err == ("I0000 from C++\n" if broken else "") + "ours\n"


@pytest.mark.field
@pytest.mark.mtcnn
def test_with_mtcnn_stderr_holds_only_lines_of_the_command(ticket, tmp_path):
    (person, *_) = invent_people(0).values()
    make_photos(tmp_path / "photos", [("ada", photo_of_one(person, np.random.default_rng(0)))])
    (tmp_path / "crop.json").write_text(json.dumps(toy_faces.CROP))
    crops = ("stages.crop", tmp_path / "crop.json", tmp_path / "photos", tmp_path / "crops")
    named = ("stages.recognise", ticket, tmp_path / "photos" / "ada")
    for command, first in ((crops, ""), (named, "photos: 1, faces: 1")):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
        done = subprocess.run(
            [sys.executable, "-m", *map(str, command)], capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0
        lines = done.stderr.splitlines()
        assert [line for line in lines if not line.startswith(("photos: ", "Finding faces: "))] == []
        assert done.stderr.startswith(first)


def test_json_holds_what_the_csv_holds(ticket, tmp_path):
    write_photo(tmp_path / "in" / "two.png", faces=2)
    write_photo(tmp_path / "in" / "zero.png", faces=0)
    options = ("--threshold", "0.25", "--json", tmp_path / "rows.json")
    rows = results(recognise, tmp_path, ticket, tmp_path / "in", *options)
    written = json.loads((tmp_path / "rows.json").read_text())
    assert (written["threshold"], written["keep"]) == (0.25, "all")
    for row, texts in zip(written["results"], rows, strict=True):
        assert {key: "" if value is None else str(value) for key, value in row.items()} == texts


def test_annotated_photos_keep_their_folders_and_names(ticket, tmp_path):
    plain = write_photo(tmp_path / "in" / "a" / "one.png")
    write_photo(tmp_path / "in" / "b.bmp", faces=0)
    (tmp_path / "in" / "notes.txt").write_text("")
    results(recognise, tmp_path, ticket, tmp_path / "in", "--output", tmp_path / "out")
    assert set(toy_faces.contents(tmp_path / "out")) == {Path("a/one.png"), Path("b.bmp.png")}
    drawn = np.asarray(Image.open(tmp_path / "out" / "a" / "one.png"))
    assert drawn.shape == plain.shape
    assert tuple(drawn[30, 20]) == annotation.GREEN  # the left side of the face's box, at (20, 10)
    assert (drawn[60:] == plain[60:]).all()  # below it


def test_an_existing_output_folder_is_left_alone(ticket, tmp_path):
    write_photo(tmp_path / "in" / "one.png")
    (tmp_path / "out").mkdir()
    message = refusal(recognise, ticket, tmp_path / "in", "--output", tmp_path / "out")
    assert "out already exists; name a new folder" in message
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "named", [["a/1.png", "b/1.png"], ["a", "b/1.png"], ["a/../b", "a"], ["a", "a/1.png", "b"]]
)
def test_names_are_relative_to_the_folder_that_contains_all(tmp_path, named):
    for name in ("a/1.png", "b/1.png"):
        write_photo(tmp_path / name)
    sources = pictures.gather([tmp_path / name for name in named])
    assert [source.name for source in sources] == ["a/1.png", "b/1.png"]
    assert [source.named for source in sources] == [source.name in named for source in sources]


def test_two_photos_are_never_written_to_one_file(tmp_path):
    photo = Image.fromarray(texture(1))
    annotation.save(photo, tmp_path, "a.webp.png")
    with pytest.raises(InputError, match=r"written as a\.webp\.png"):
        annotation.save(photo, tmp_path, "a.webp")
    annotation.save(photo, tmp_path, "deep/a.JPEG")
    assert (tmp_path / "deep" / "a.JPEG").read_bytes()[:3] == b"\xff\xd8\xff"


@pytest.mark.parametrize("box", [(-5.0, -8.0, 300.0, 300.0), (95.0, 70.0, 40.0, 40.0), (0.0, 0.0, 1.0, 1.0)])
def test_labels_stay_inside_the_photo(box):
    photo = np.zeros((80, 100, 3), np.uint8)
    label = annotation.Label(box, "somebody with a name 100%", known=False)
    drawn = np.asarray(annotation.draw(photo, [label]))
    assert drawn.shape == photo.shape
    assert (drawn == 255).all(2).any()  # white letters


def test_the_table_is_aligned_and_escapes_odd_names():
    rows = [
        {"file": "a\n\x1b[31mb", "name": "李四", "p": "5.0%"},
        {"file": "c\udcff", "name": "Bo", "p": "100.0%"},
    ]
    assert format_table({"file": "<", "name": "<", "p": ">", "note": "<"}, rows) == [
        "file          name       p",
        r"a\n\x1b[31mb  李四    5.0%",
        r"c\udcff       Bo    100.0%",
    ]
    assert printable("plain name ß") == "plain name ß"


# refused input


def test_a_ticket_of_digits_is_refused(tmp_path):
    save_ticket(tmp_path / "ticket", noise("0", "1"), None)
    write_photo(tmp_path / "one.png")
    message = refusal(recognise, tmp_path / "ticket", tmp_path / "one.png")
    assert "is not a ticket of faces (its classes are 0, 1, ...)" in message
    assert "stages.read_digits" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"margin": 1e9}, "faces.margin: Input should be less than"),
        ({"size": 35}, "two sizes"),
        ({"max_side": "800"}, "faces.max_side: Input should be a valid integer"),
    ],
)
def test_invalid_face_settings_are_refused(ticket, change, message):
    metadata = compact.load(ticket)[2]
    with pytest.raises(InputError, match=message):
        face_settings(metadata | {"faces": FACES | change}, ticket)


@pytest.mark.field
@pytest.mark.parametrize(
    "rates", [{}, {"measured": True, "strangers": 5, "table": []}, {"measured": "yes"}, 3]
)
def test_invalid_rates_are_refused(ticket, rates):
    with pytest.raises(InputError, match=r"is damaged \(rates"):
        face_settings(compact.load(ticket)[2] | {"rates": rates}, ticket)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "does not exist or is not a file"),
        (lambda path: path.mkdir(), "in contains no files"),
        (lambda path: path.write_text("text"), "None of 1 files could be read as a picture, for example"),
        (lambda path: (path.mkdir(), (path / "a.txt").write_text("text")), "None of 1 files could be read"),
    ],
)
def test_paths_without_a_photo_are_refused(ticket, tmp_path, make, message):
    make(tmp_path / "in")
    assert message in refusal(recognise, ticket, tmp_path / "in", "--csv", tmp_path / "rows.csv")
    assert not (tmp_path / "rows.csv").exists()


def test_a_photo_with_too_many_pixels_is_not_decoded(tmp_path, monkeypatch):
    write_photo(tmp_path / "one.png")
    monkeypatch.setattr(decoding, "MAX_PIXELS", 7999)
    with pytest.raises(pictures.Rejection, match="too-large: 100 x 80 pixels"):
        pictures.load(tmp_path / "one.png")


def test_help_does_not_import_tensorflow():
    assert invoke(recognise, "--help").exit_code == 0
    assert "tensorflow" not in sys.modules
