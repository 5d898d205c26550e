import numpy as np
import pytest

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
