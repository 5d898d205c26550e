import numpy as np
import pytest
from safetensors.numpy import save_file

from prunet.base import dataset, tensors
from prunet.base.errors import InputError


def toy(count=6):
    return {
        "images": np.arange(count * 4, dtype=np.uint8).reshape(count, 1, 2, 2),
        "labels": np.arange(count) % 2,
        "split": np.repeat([0, 1, 2], count // 3).astype(np.uint8),
        "class_names": ["even", "odd"],
    }


def test_a_dataset_comes_back_as_saved_and_equal_data_gives_equal_bytes(tmp_path):
    data = toy()
    for name in ("a", "b"):
        dataset.save(tmp_path / name, **data)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = dataset.load(tmp_path / "a")
    assert loaded["class_names"] == ["even", "odd"]
    for name in ("images", "labels", "split"):
        np.testing.assert_array_equal(loaded[name], data[name])
        assert loaded[name].dtype == data[name].dtype


def test_a_class_missing_from_a_split_is_named(tmp_path):
    data = toy()
    data["split"] = np.array([0, 0, 1, 1, 2, 0], np.uint8)
    with pytest.raises(
        InputError, match=r"class 'odd' has 3 images and none of them falls into the test split"
    ):
        dataset.save(tmp_path / "data", **data)
    assert not (tmp_path / "data").exists()


def test_one_class_is_not_a_classification(tmp_path):
    data = toy() | {"class_names": ["only"], "labels": np.zeros(6, np.int64)}
    with pytest.raises(InputError, match="at least two classes"):
        dataset.save(tmp_path / "data", **data)


def test_a_file_cut_in_half_is_refused_by_name(tmp_path):
    path = tmp_path / "data.safetensors"
    dataset.save(path, **toy())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"data.safetensors is damaged"):
        dataset.load(path)


def test_another_file_is_not_a_dataset(tmp_path):
    tensors.write(tmp_path / "other", {"images": np.zeros(3)}, {})
    with pytest.raises(InputError, match="not a dataset file"):
        dataset.load(tmp_path / "other")
    with pytest.raises(InputError, match="does not exist"):
        dataset.load(tmp_path / "gone")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"images": np.zeros((6, 1, 2, 2), np.float32)},
            "images are float32 of shape (6, 1, 2, 2), not uint8",
        ),
        ({"images": np.zeros((6, 4), np.uint8)}, "images are uint8 of shape (6, 4)"),
        ({"images": np.zeros((6, 1, 0, 2), np.uint8)}, "6 images"),
        ({"labels": np.zeros(6, np.int32)}, "labels are int32"),
        ({"labels": np.array([0, 1, 0, 1, 0, 2])}, "labels from 0 to 2 for 2 classes"),
        ({"labels": np.array([0, 1, 0, 1, 0, -1])}, "labels from -1 to 1"),
        ({"labels": np.zeros(5, np.int64)}, "6 images, 5 labels and 6 sides"),
        ({"split": np.array([0, 0, 1, 1, 2, 3], np.uint8)}, "a split of [0, 1, 2, 3]"),
        ({"split": np.zeros(6, np.uint8)}, "a split of [0] instead of all of train, val, test"),
    ],
)
def test_a_wrong_part_is_named(tmp_path, changes, says):
    data = toy() | changes
    names = {"class_names": data.pop("class_names")}
    tensors.write(tmp_path / "data", data, names)
    with pytest.raises(InputError) as error:
        dataset.load(tmp_path / "data")
    assert f"data is not a dataset file ({says}" in error.value.message


@pytest.mark.parametrize("names", [None, "even", ["even"], ["even", 1], {"even": 0, "odd": 1}])
def test_class_names_are_a_list_of_texts(tmp_path, names):
    data = toy()
    del data["class_names"]
    tensors.write(tmp_path / "data", data, {} if names is None else {"class_names": names})
    with pytest.raises(InputError, match="no list of class names"):
        dataset.load(tmp_path / "data")


@pytest.mark.parametrize("about", ["[]", "1", "{", "[" * 100_000, "9" * 5000])
def test_a_file_that_says_nothing_about_itself_is_damaged(tmp_path, about):
    save_file({"a": np.zeros(3)}, tmp_path / "file", {"prunet": about})
    with pytest.raises(InputError, match=r"file is damaged"):
        tensors.read(tmp_path / "file")
    save_file({"a": np.zeros(3)}, tmp_path / "file")
    with pytest.raises(InputError, match=r"file is damaged"):
        tensors.read(tmp_path / "file")
