"""Recognition by embeddings from few photos, and the stage embed."""

import json

import numpy as np
import pytest

from prunet.base import tables
from prunet.data.faces import detection, embedding, likeness
from prunet.data.sets.people import split_faces
from prunet.recognition import few_photos
from prunet.recognition.few_photos import Split
from stages import crop, embed, resize
from tests.toy_faces import DATA, exclude, fake_faces, make_photos, many, message, read_table, run
from tests.toy_tools import invoke


def split(**angles):
    """Return embeddings at these angles, in degrees, of people in this order."""
    degrees = np.radians([angle for found in angles.values() for angle in found])
    vectors = np.stack([np.cos(degrees), np.sin(degrees)], axis=1).astype(np.float32)
    labels = [number for number, found in enumerate(angles.values()) for _ in found]
    return Split(vectors, np.array(labels, np.int64))


def measured(train, test, val=None, known=1.0):
    return few_photos.measure(train, test if val is None else val, test, known, seed=0)


def test_rows_are_for_one_two_five_and_all_photos_of_those_that_a_person_has():
    table = measured(split(ada=range(8), boris=range(90, 93)), split(ada=[1], boris=[91]))
    assert table["photos"].tolist() == [1, 2, 4, 5.5]
    assert table["draws"].tolist() == [20, 20, 20, 1]
    assert (table["test_images"] == 2).all()
    assert (table["accuracy_mean"] == 1).all()
    assert np.isnan(table["accuracy_std"].iloc[-1])
    assert (table["accuracy_std"].iloc[:-1] == 0).all()


def test_more_photos_average_bad_ones_out():
    bad = split(ada=[*range(6), 110], boris=range(90, 97))  # one photo of ada is of somebody else
    table = measured(bad, split(ada=[3], boris=[93]))
    accuracy = table["accuracy_mean"].tolist()
    assert accuracy[0] < 1 == accuracy[-1]
    assert table["accuracy_std"].iloc[0] > 0


def test_strangers_are_test_faces_without_their_person():
    train = split(ada=[0], boris=[60], carl=[200])
    row = measured(train, split(ada=[0], boris=[60], carl=[200])).iloc[-1]
    assert row["auroc"] == 1  # own photos are at 1; ada is at cos 60 to boris, carl at 0 to all
    assert (row["true_accepts"], row["false_accepts"], row["threshold"]) == (1, 0, pytest.approx(1, abs=1e-3))
    lower = measured(train, split(ada=[0], boris=[60], carl=[200]), val=split(ada=[-61])).iloc[-1]
    assert lower["threshold"] == pytest.approx(np.cos(np.radians(61)), abs=1e-4)
    assert (lower["true_accepts"], lower["false_accepts"]) == (1, pytest.approx(2 / 3))


def test_a_wrong_name_is_no_true_accept():
    row = measured(split(ada=[0], boris=[90]), split(ada=[0, 80], boris=[90]), val=split(ada=[50])).iloc[-1]
    assert (row["accuracy_mean"], row["threshold"]) == (pytest.approx(2 / 3), 1)  # no right answer on val


def test_equal_seeds_draw_equal_photos():
    train, test = split(ada=range(0, 70, 7), boris=range(60, 130, 7)), split(ada=[33], boris=[90])
    first, again = measured(train, test), measured(train, test)
    assert first.equals(again)
    other = few_photos.measure(train, test, test, 1.0, seed=1)
    assert not first.equals(other)
    assert first.iloc[-1].equals(other.iloc[-1])


# the stage

SPLIT = {"val": 0.25, "test": 0.25, "distance": DATA["near_duplicate_distance"], "min_images": 1}


@pytest.fixture
def faces(tmp_path, monkeypatch):
    """Crop and resize photos of ada at about 0 degrees and of boris at about 90; return the folder."""
    angles = {}

    def embedded(photo, face):
        degrees = np.radians(angles[photo.tobytes()])
        return np.array([np.cos(degrees), np.sin(degrees)], np.float32)

    photos = many(12)
    angles.update({photo.tobytes(): 90.0 * (label == "boris") + i for i, (label, photo) in enumerate(photos)})
    monkeypatch.setattr(detection, "detector", lambda: fake_faces)
    monkeypatch.setattr(embedding, "embedder", lambda: embedded)
    monkeypatch.setattr(embedding, "SIZE", 2)
    make_photos(tmp_path / "photos", photos)
    exclude(tmp_path)
    run(crop, tmp_path, embedding="sface")
    run(resize, tmp_path)
    return tmp_path


def run_embed(folder):
    (folder / "embed.json").write_text(json.dumps({"study": "toy", "seed": 0, "data": SPLIT, "known": 0.95}))
    return invoke(embed, *(folder / name for name in ("embed.json", "crops", "gray", "embedding.csv")))


def test_the_stage_measures_the_studys_own_split(faces):
    result = run_embed(faces)
    assert result.exit_code == 0, result.output
    table = tables.read(faces / "embedding.csv", ["photos", "accuracy_mean", "auroc", "false_accepts"])
    own = split_faces(faces / "gray", 0.25, 0.25, SPLIT["distance"], 1, 0).split
    assert (table["test_images"] == (own == 2).sum()).all()
    assert table["photos"].iloc[-1] == pytest.approx((own == 0).sum() / 2)
    assert table["accuracy_mean"].iloc[-1] == 1


def test_each_face_has_the_embedding_of_its_own_photo(faces):
    rows = read_table(faces / "crops" / "manifest.csv")
    found = embed.embeddings(faces / "crops")
    vectors = likeness.load(faces / "crops", 24, 2)
    assert [row["image"] for row in rows] == list(found)
    np.testing.assert_array_equal(np.stack(list(found.values())), vectors)
    upright = {image.split("/")[0] for image, vector in found.items() if vector[1] > vector[0]}
    assert upright == {"boris"}


def test_a_moved_face_keeps_its_embedding_which_tells_whose_it_is(faces):
    (faces / "exclude.csv").write_text(f"label,image,reason,move_to\nboris,{1:016x},,ada\n")
    run(resize, faces)
    assert run_embed(faces).exit_code == 0
    table = read_table(faces / "sheets" / "doubts.csv")
    assert [row["row"] for row in table if "looks like boris" in row["reasons"]] == ["1"]


def crop_again(folder, photos):
    """Crop other photos than those of the folder."""
    (folder / "photos" / "manifest.csv").unlink()
    make_photos(folder / "photos", photos)
    run(crop, folder, embedding="sface")


def test_people_without_a_photo_in_each_part_are_refused(faces):
    crop_again(faces, many(1))
    run(resize, faces)
    assert "gray: 2 classes have no image in one of the splits" in message(run_embed(faces))


def test_crops_without_embeddings_are_refused(faces):
    run(crop, faces)
    assert "embeddings.safetensors does not exist; run the stage" in message(run_embed(faces))


def test_crops_of_another_list_are_refused(faces):
    crop_again(faces, many(3))
    assert message(run_embed(faces)).endswith("crops has not; run the stage resize again.")
    assert not (faces / "embedding.csv").exists()
