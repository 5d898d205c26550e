"""Enrolment of people without training, the file of enrolled people, and recognition with it."""

import json

import numpy as np
import pytest
from PIL import Image

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.data.faces import detection, embedding
from prunet.data.sample.people import invent_people
from prunet.data.sample.photos import photo_of_nobody, photo_of_one
from prunet.recognition import annotation, embeddings, enrolment, people_file
from stages import enrol, recognise
from tests.toy_faces import fake_faces, texture
from tests.toy_tools import invoke, refusal, results


def direction(*degrees):
    """Return unit vectors (N, 2) at these angles."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def people(**angles):
    """Enrol people by the angles of their faces' embeddings."""
    labels = [name for name, found in angles.items() for _ in found]
    return enrolment.enrol(labels, direction(*(angle for found in angles.values() for angle in found)))[0]


@pytest.fixture(autouse=True)
def fakes(request, monkeypatch):
    """Find faces with `fake_faces`, and embed them at the angle, in degrees, of the photo's second pixel."""
    if "mtcnn" not in request.keywords:
        monkeypatch.setattr(detection, "detector", lambda: fake_faces)
        monkeypatch.setattr(embedding, "SIZE", 2)
        monkeypatch.setattr(
            embedding, "embedder", lambda: lambda photo, face: direction(float(photo[0, 1, 0]))[0]
        )


def write(folder, *angles, faces=1):
    """Write photos with an embedding each."""
    folder.mkdir(parents=True, exist_ok=True)
    for angle in angles:
        photo = texture(angle, faces)
        photo[0, 1] = angle
        Image.fromarray(photo).save(folder / f"{angle}.png")


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "in" / "boris", 80, 84, 90)
    write(tmp_path / "in" / "ada", 0, 4)
    write(tmp_path / "in" / "carl", 180)
    return tmp_path / "in"


def done(*arguments):
    result = invoke(enrol, *arguments)
    assert result.exit_code == 0, result.output
    return result


# calibration


def test_a_known_face_counts_without_its_own_photo_and_a_stranger_without_its_person():
    threshold, rates = enrolment.calibrate(people(ada=[0, 10], boris=[90, 120], carl=[200]), 0.0)
    likest = np.cos(np.radians(80))  # boris' face at 120 degrees and carl at 200
    assert likest < threshold < likest + 2e-4
    assert (rates["strangers"], rates["known"]) == (5, 4)
    rows = {row["threshold"]: row for row in rates["table"]}
    assert (rows[threshold]["true_accepts"], rows[threshold]["false_accepts"]) == (1.0, 0.0)
    assert rows[0.9]["true_accepts"] == 0.5  # boris' faces are 30 degrees apart: a cosine of 0.87
    assert rows[0.99]["true_accepts"] == 0.0  # ada's are 10 degrees apart: 0.985


def test_a_share_of_strangers_may_get_a_name():
    close = people(ada=[0, 1], boris=[30, 31], carl=[150, 151])
    strict, loose = (enrolment.calibrate(close, share)[0] for share in (0.0, 4 / 6))
    assert strict == pytest.approx(np.cos(np.radians(29.5)), abs=2e-4)
    assert loose < 0.01  # four of six are like another person, those of carl like nobody


def test_a_person_who_is_nearer_to_somebody_else_is_no_true_accept():
    _, rates = enrolment.calibrate(people(ada=[0, 60], boris=[61, 62]), 1.0)
    rows = {row["threshold"]: row for row in rates["table"]}
    assert rows[0.0]["true_accepts"] == 0.75  # ada's face at 60 without itself is ada at 0


@pytest.mark.parametrize(
    ("known", "says"),
    [
        (people(ada=[0, 10]), "ada is the only person; enrol at least two"),
        (people(ada=[0], boris=[90]), "nobody has two photos with one face"),
    ],
)
def test_too_few_faces_for_a_threshold_are_refused(known, says):
    with pytest.raises(InputError, match=says):
        enrolment.calibrate(known, 0.01)


def test_a_likeness_is_never_negative():
    found = enrolment.scores(direction(0, 60, 180), direction(0).astype(np.float64))
    np.testing.assert_allclose(found[:, 0], [1, 0.5, 0], atol=1e-6)


# adding


def test_adding_in_steps_equals_enrolling_at_once(folder, tmp_path):
    done(folder, tmp_path / "once")
    (tmp_path / "later" / "ada").mkdir(parents=True)
    (folder / "carl").rename(tmp_path / "later" / "carl")
    (folder / "ada" / "4.png").rename(tmp_path / "later" / "ada" / "4.png")
    done(folder, tmp_path / "steps")
    assert done("--add", tmp_path / "later", tmp_path / "steps").stdout.splitlines()[1:4] == [
        "ada         2",
        "boris       3",
        "carl        1",
    ]
    assert (tmp_path / "steps").read_bytes() == (tmp_path / "once").read_bytes()


def test_a_photo_that_is_there_already_counts_once(folder, tmp_path):
    done(folder, tmp_path / "people")
    before = (tmp_path / "people").read_bytes()
    assert "6 photos were there already." in done("--add", folder, tmp_path / "people").stderr
    assert (tmp_path / "people").read_bytes() == before


def test_a_photo_of_two_people_is_refused(folder, tmp_path):
    done(folder, tmp_path / "people")
    before = (tmp_path / "people").read_bytes()
    write(tmp_path / "more" / "dora", 84)
    message = refusal(enrol, "--add", tmp_path / "more", tmp_path / "people")
    assert message == "a photo of boris is also one of dora; keep it in one folder alone."
    assert (tmp_path / "people").read_bytes() == before


# the command


def test_photos_without_exactly_one_face_are_named_and_left_out(folder, tmp_path):
    write(folder / "boris", 100, faces=2)
    write(folder / "boris", 101, faces=0)
    (folder / "boris" / "cut.png").write_bytes((folder / "ada" / "0.png").read_bytes()[:300])
    (folder / "notes.txt").write_text("outside all folders")
    (folder / "ada" / "notes.txt").write_text("not a picture")
    result = done(folder, tmp_path / "people")
    left_out = [line for line in result.stderr.splitlines() if line.startswith("left out: ")]
    assert [line.split(": ")[1:3] for line in left_out] == [
        ["boris/100.png", "several-faces"],
        ["boris/101.png", "no-face"],
        ["boris/cut.png", "broken-image"],
    ]
    assert "boris       3" in result.stdout


def test_rates_are_printed_with_intervals(folder, tmp_path):
    result = done(folder, tmp_path / "people", "--false-accepts", "0.5")
    (line,) = (line for line in result.stdout.splitlines() if line.endswith("chosen"))
    assert line.split("%")[0].split() == ["0.093", "100.0"]
    assert "(" in line
    assert "At threshold 0.093, 100.0% of 5 known faces get the right name" in result.stderr


def test_an_existing_file_is_not_replaced(folder, tmp_path):
    (tmp_path / "people").write_text("precious")
    message = refusal(enrol, folder, tmp_path / "people")
    assert message.endswith("people exists already; give --add to add to it, or name another file.")
    assert "people is damaged (" in refusal(enrol, "--add", folder, tmp_path / "people")
    assert (tmp_path / "people").read_text() == "precious"


def test_a_file_to_add_to_must_exist(folder, tmp_path):
    message = refusal(enrol, "--add", folder, tmp_path / "people")
    assert message.endswith("people does not exist; leave out --add to make it.")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "in is not a folder; name one with a folder of photos for each person."),
        (lambda path: write(path, 3), "in has no folder with photos; put the photos of a person into FOLDER"),
        (lambda path: write(path / "ada", 3, faces=2), "none of the 1 files in "),
        (lambda path: write(path / "a\x1bb", 3), r"'a\x1bb' cannot be a person's name (the label contains"),
        (lambda path: write(path / "ada", 3, 5), "ada is the only person; enrol at least two"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_no_file(tmp_path, make, says):
    make(tmp_path / "in")
    message = refusal(enrol, tmp_path / "in", tmp_path / "people")
    assert says in message
    assert "\n" not in message.split("Error: ")[-1]
    assert not (tmp_path / "people").exists()


def test_without_the_package_one_sentence_says_how_to_install_it(folder, tmp_path, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(embedding, "PACKAGE", "a-package-that-nobody-has")
    message = refusal(enrol, folder, tmp_path / "people")
    assert message.endswith("install it with `pip install -r requirements-embedding.txt`.")


# recognition


def test_faces_are_named_by_the_nearest_person_or_unknown(folder, tmp_path):
    done(folder, tmp_path / "people")
    write(tmp_path / "photos", 6, 83, 140)
    rows = results(recognise, tmp_path, tmp_path / "people", tmp_path / "photos", "--threshold", "0.9")
    found = {row["file"].split("/")[-1]: row for row in rows}
    assert [found[f"{angle}.png"]["name"] for angle in (6, 83, 140)] == ["ada", "boris", ""]
    assert found["140.png"]["likeliest"] == "carl"
    assert float(found["6.png"]["likeness"]) == pytest.approx(np.cos(np.radians(4)), abs=1e-4)
    assert "probability" not in found["6.png"]


def test_the_table_the_json_and_the_pictures_show_the_likeness(folder, tmp_path):
    done(folder, tmp_path / "people")
    write(tmp_path / "photos", 6)
    files = "--json", tmp_path / "rows.json", "--output", tmp_path / "drawn"
    result = invoke(recognise, tmp_path / "people", tmp_path / "photos", *files)
    assert result.exit_code == 0, result.output
    header, line = result.stdout.splitlines()
    assert header.split()[-1] == "likeness"
    assert line.split()[-2:] == ["ada", "1.00"]
    assert "strangers get a name" in result.stderr
    written = json.loads((tmp_path / "rows.json").read_text())
    assert written["results"][0]["likeness"] == pytest.approx(0.9976, abs=1e-4)
    assert written["rates"]["threshold"] == written["threshold"]
    assert (tmp_path / "drawn" / "6.png").is_file()
    assert annotation.text({"known": True, "name": "ada", "likeness": 0.634}) == "ada 0.63"


# the file


def test_the_file_is_read_as_written(folder, tmp_path):
    done(folder, tmp_path / "people")
    chosen = embeddings.load(None, None)
    found = people_file.load(tmp_path / "people", chosen)
    assert found.people.names == ["ada", "boris", "carl"]
    assert found.people.labels == ["ada"] * 2 + ["boris"] * 3 + ["carl"]
    assert found.finding == embeddings.FINDING
    assert people_file.is_one(tmp_path / "people")
    people_file.save(tmp_path / "again", found, chosen)
    assert people_file.load(tmp_path / "again", chosen).threshold == found.threshold
    assert not people_file.is_one(tmp_path / "missing")


SPOILT = {
    "names": (lambda t, m: m.update(names=["ada", "a\x1bb", "carl"]), "names.1: Value error"),
    "order": (lambda t, m: m["names"].reverse(), "its names or faces are not in order"),
    "threshold": (lambda t, m: m.update(threshold=2.0), "threshold: Input should be less"),
    "size": (
        lambda t, m: m["finding"].update(min_size="24"),
        "finding.min_size: Input should be a valid int",
    ),
    "weights": (
        lambda t, m: m.update(weights="0"),
        "was made with another embedding, of sface: name its ticket",
    ),
    "owner": (lambda t, m: t["owners"].__setitem__(-1, 7), "its faces belong to other people"),
    "missing": (lambda t, m: t["owners"].fill(0), "its faces belong to other people"),
    "length": (lambda t, m: t["embeddings"].fill(1), "its embeddings are not of unit length"),
    "nan": (lambda t, m: t["embeddings"].fill(np.nan), "its embeddings are not of unit length"),
    "type": (
        lambda t, m: t.update(owners=t["owners"].astype(float)),
        "its tensors have other shapes or types",
    ),
    "faces": (lambda t, m: t.update(owners=t["owners"][1:]), "its names or faces are not in order"),
    "kind": (lambda t, m: m.clear(), "is damaged or not a file of enrolled people (version: Field required)"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_damaged_file_is_refused(folder, tmp_path, case):
    done(folder, tmp_path / "people")
    found, metadata = tensors.read(tmp_path / "people")
    spoil, says = SPOILT[case]
    spoil(found, metadata)
    tensors.write(tmp_path / "people", found, metadata)
    assert says in refusal(recognise, tmp_path / "people", folder)


@pytest.mark.mtcnn
def test_with_the_real_networks_drawn_people_are_recognised_and_strangers_are_not(tmp_path):
    drawn, rng = list(invent_people(0).items()), np.random.default_rng(0)
    for name, person in drawn[:5]:
        for part, photos in (("in", 4), ("photos", 2)):
            (tmp_path / part / name).mkdir(parents=True)
            for number in range(photos):
                photo = Image.fromarray(photo_of_one(person, rng))
                photo.save(tmp_path / part / name / f"{number}.png")
    Image.fromarray(photo_of_nobody(rng)).save(tmp_path / "photos" / "nobody.png")
    Image.fromarray(photo_of_one(drawn[6][1], rng)).save(tmp_path / "photos" / "stranger.png")
    done(tmp_path / "in", tmp_path / "people")
    rows = results(recognise, tmp_path, tmp_path / "people", tmp_path / "photos", "--keep", "largest")
    found = {row["file"].removeprefix(f"{tmp_path}/photos/"): row for row in rows}
    named = [row["likeliest"] == file.split("/")[0] for file, row in found.items() if "/" in file]
    assert named == [True] * 10
    assert (found["stranger.png"]["name"], found["nobody.png"]["status"]) == ("", "no-face")
