"""Doubts about faces: measured traits, z-scores, reasons, and the order."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prunet.base.errors import InputError
from prunet.data.faces import doubts, traits
from prunet.data.faces.doubts import MEASURES, Measure, z_scores

X, Y, Z = np.eye(3, dtype=np.float32)
NEAR_X = np.array([0.8, 0.6, 0], np.float32)  # cosine to X 0.8, to Y 0.6


def test_z_scores_are_of_median_and_median_deviation():
    """Median 3, median absolute deviation 1."""
    values = np.array([1.0, 2, 3, 4, 100])
    expected = [-2 / 1.4826, -1 / 1.4826, 0, 1 / 1.4826, 97 / 1.4826]
    np.testing.assert_allclose(z_scores(values, Measure("", "", 0.1)), expected)
    np.testing.assert_allclose(
        z_scores(np.exp(values[:4]), Measure("", "", 2, True)), [-0.75, -0.25, 0.25, 0.75]
    )


def test_unknown_values_have_no_z_score_and_change_no_other():
    nan = float("nan")
    measure = Measure("", "", 0.5)
    np.testing.assert_array_equal(z_scores(np.array([nan, nan]), measure), [0, 0])
    some, all_known = z_scores(np.array([1, nan, 3, 5]), measure), z_scores(np.array([1.0, 3, 5]), measure)
    np.testing.assert_array_equal(some, [all_known[0], 0, *all_known[1:]])


def test_likeness_is_the_mean_of_the_two_most_similar_faces():
    vectors = np.stack([X, NEAR_X, X, Y, Y, Z])
    found = traits.likeness(vectors, ["ada"] * 3 + ["boris"] * 3, [True] * 6)
    # X of ada: to ada (0.8 + 1) / 2, to boris 0; the first Y: to boris (1 + 0) / 2, to ada (0.6 + 0) / 2.
    np.testing.assert_allclose(found.margin[[0, 3]], [-0.9, -0.2], atol=1e-6)
    assert found.similar.tolist()[1] == 3  # NEAR_X's most similar face of boris
    assert found.similar.tolist()[3] == 1


def test_a_face_under_a_wrong_name_looks_like_the_right_person_and_speaks_for_nobody_alone():
    vectors = np.stack([X, X, X, Y, Y, Y, Y])
    people = ["ada"] * 4 + ["boris"] * 3
    found = traits.likeness(vectors, people, [True] * 7)
    assert found.margin[3] == 1
    assert (
        found.margin[[0, 1, 2, 4, 5, 6]] < 0
    ).all()  # boris's three do not look like ada for one of theirs


def test_faces_that_are_left_out_and_lonely_people_say_nothing():
    vectors = np.stack([X, X, X, X])
    found = traits.likeness(vectors, ["ada", "ada", "boris", "cleo"], [True, True, False, True])
    assert found.similar.tolist() == [3, 3, 0, 0]
    assert np.isnan(found.margin[3])  # cleo has one face: no other of hers to compare it with
    alone = traits.likeness(vectors, ["ada"] * 4, [True] * 4)
    assert np.isnan(alone.margin).all()
    assert alone.similar.tolist() == [-1] * 4


def test_many_faces_are_compared_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(23, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = [f"person {i % 4}" for i in range(23)]
    whole = traits.likeness(vectors, people, [True] * 23)
    monkeypatch.setattr(traits, "AT_ONCE", 7)
    parts = traits.likeness(vectors, people, [True] * 23)
    np.testing.assert_allclose(whole.margin, parts.margin, atol=1e-6)
    np.testing.assert_array_equal(whole.similar, parts.similar)


def texture(number):
    coarse = np.random.default_rng(number).integers(60, 190, (12, 12, 3), np.uint8)
    return np.array(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))


@pytest.fixture
def faces(tmp_path):
    """Rows of twelve ordinary faces of ada and boris, with their crops and photos; and their folder."""
    rows = []
    for number in range(12):
        label = ("ada", "boris")[number % 2]
        name = f"{label}/{number}.png"
        for folder, pixels in (("crops", texture(number)), ("photos", np.zeros((200, 100, 3), np.uint8))):
            (tmp_path / folder / label).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(tmp_path / folder / name)
        row = {"row": str(number), "label": label, "image": name, "photo": name, "usable": "1"}
        row |= {"photo_hash": f"{number * 0x0123456789ABCDEF % 2**64:016x}", "confidence": "0.999"}
        rows.append(row | {"width": "50", "height": "40"})
    return rows, tmp_path


def table(faces, kept=None, embeddings=None, distance=4):
    rows, folder = faces
    people = [row["label"] for row in rows]
    kept = kept or [True] * len(rows)
    return doubts.find(rows, people, kept, folder / "crops", folder / "photos", embeddings, distance)


def paint(faces, number, pixels):
    rows, folder = faces
    Image.fromarray(pixels).save(folder / "crops" / rows[number]["image"])


def test_the_table_has_a_row_for_each_face_and_measures_its_pictures(faces):
    found = table(faces)
    assert [row["row"] for row in found] == [str(n) for n in range(12)]
    assert all(row.keys() == set(doubts.COLUMNS) for row in found)
    assert {row["area"] for row in found} == {"0.1"}  # 50 x 40 of 200 x 100
    assert {row["distance"] for row in found} == {""}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda rows, pixels: np.full_like(pixels, 5), "dark"),
        (lambda rows, pixels: np.full_like(pixels, 250), "very bright"),
        (lambda rows, pixels: np.asarray(Image.fromarray(pixels).reduce(16).resize((96, 96))), "blurred"),
        (lambda rows, pixels: rows[5].update(width="5", height="4"), "unusually small on its photo"),
        (lambda rows, pixels: rows[5].update(width="200", height="90"), "unusually large on its photo"),
        (lambda rows, pixels: rows[5].update(confidence="0.91"), "perhaps no face"),
        (lambda rows, pixels: rows[5].update(usable="3"), "3 faces on the photo"),
        (
            lambda rows, pixels: rows[5].update(photo_hash=rows[0]["photo_hash"]),
            "same photo as one of ada",
        ),
    ],
)
def test_each_doubt_has_a_reason_in_plain_words_and_comes_first(faces, change, reason):
    ordinary = table(faces)
    assert reason not in ordinary[5]["reasons"]
    pixels = change(faces[0], texture(5))
    if pixels is not None:
        paint(faces, 5, pixels)
    found = table(faces)
    assert reason in found[5]["reasons"].split("; ")
    assert found[5]["score"] >= max(row["score"] for row in found)
    assert found[5]["score"] >= doubts.OUTLIER


def test_a_face_of_another_person_is_found_by_pictures_and_by_embeddings(faces):
    for number in range(12):
        paint(faces, number, np.clip(texture(number % 2).astype(int) + 3 * number, 0, 255).astype(np.uint8))
    assert all("looks like" not in row["reasons"] for row in table(faces))
    rng = np.random.default_rng(0)
    vectors = np.stack([(X, Y)[n % 2] for n in range(12)]) + rng.normal(0, 0.05, (12, 3)).astype(np.float32)
    vectors[4] = Y
    paint(faces, 4, texture(1))
    for found in (table(faces), table(faces, embeddings=vectors)):
        assert "looks like boris" in found[4]["reasons"].split("; ")
        assert found[4]["similar"].startswith("boris/")
        assert found[4]["score"] == max(row["score"] for row in found)
    assert "unlike the others" in found[4]["reasons"]


def test_every_face_that_looks_more_like_another_person_is_doubtful_however_many_do(faces):
    vectors = np.stack([{"x": X, "y": Y}[which] for which in "xyxyyxyyxyxy"])
    found = table(faces, embeddings=vectors)
    margins = [float(row["likeness"]) for row in found]
    assert margins == [-0.5, 0, -0.5, 0, 0.5, 1, 0.5, 0, -0.5, 0, -0.5, 0]
    assert max(z_scores(np.array(margins), MEASURES["likeness"])) < doubts.OUTLIER
    assert ["looks like" in row["reasons"] for row in found] == [margin > 0 for margin in margins]


def test_no_face_that_looks_most_like_its_own_person_is_said_to_look_like_another(faces):
    """The one face that is less sure of its person than all others is an outlier, but no doubt."""
    vectors = np.stack([(X, Y)[n % 2] for n in range(12)])
    vectors[4] = np.array([0.3, 0.1, 0.9**0.5])
    assert all("looks like" not in row["reasons"] for row in table(faces, embeddings=vectors))


def test_photos_of_two_people_whose_hashes_differ_in_few_bits_are_copies(faces):
    faces[0][5]["photo_hash"] = f"{int(faces[0][0]['photo_hash'], 16) ^ 0b111:016x}"
    for distance in (2, 3):
        found = "same photo as one of ada" in table(faces, distance=distance)[5]["reasons"]
        assert found == (distance == 3)


def test_a_missing_photo_is_refused_in_one_sentence(faces):
    rows, folder = faces
    Path(folder / "photos" / rows[3]["photo"]).unlink()
    with pytest.raises(InputError, match=r"photos/boris/3\.png does not exist") as refusal:
        table(faces)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("content", [b"\xff\xd8\xff", b"no picture"])
def test_a_damaged_photo_is_refused_in_one_sentence(faces, content):
    rows, folder = faces
    (folder / "photos" / rows[3]["photo"]).write_bytes(content)
    with pytest.raises(InputError, match=r"photos/boris/3\.png .*; rerun the stage that writes it\."):
        table(faces)


def test_no_doubt_weighs_more_than_the_strongest():
    found = doubts._outliers(dict.fromkeys(MEASURES, 1e9), "<b>{other}")
    assert set(found.values()) == {doubts.STRONGEST}
    assert "looks like <b>{other}" in found  # a name is never a template
