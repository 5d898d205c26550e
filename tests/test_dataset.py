import numpy as np
import pytest
from safetensors.numpy import save_file

from prunet.base import tensors
from prunet.base.errors import InputError
from prunet.data.images import dataset
from prunet.data.images.image_files import Files


def toy(count=6):
    return {
        "images": np.arange(count * 4, dtype=np.uint8).reshape(count, 1, 2, 2),
        "labels": np.arange(count) % 2,
        "split": np.repeat([0, 1, 2], count // 3).astype(np.uint8),
        "class_names": ["even", "odd"],
    }


def refusal(path):
    with pytest.raises(InputError) as error:
        dataset.load(path)
    return error.value.message


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


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"split": np.array([0, 0, 1, 1, 2, 0])},
            r"1 class has no image in one of the splits train, val, test: odd \(2, 1, 0\)",
        ),
        ({"class_names": ["only"], "labels": np.zeros(6, np.int64)}, "at least two classes"),
    ],
)
def test_a_class_missing_from_a_split_and_a_single_class_are_refused(tmp_path, changes, says):
    with pytest.raises(InputError, match=says):
        dataset.save(tmp_path / "data", **toy() | changes)
    assert not (tmp_path / "data").exists()


def test_half_a_file_is_refused(tmp_path):
    path = tmp_path / "data.safetensors"
    dataset.save(path, **toy())
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "data.safetensors is damaged" in refusal(path)


def test_another_file_is_not_a_dataset(tmp_path):
    tensors.write(tmp_path / "other", {"images": np.zeros(3)}, {})
    assert "not a dataset file" in refusal(tmp_path / "other")
    assert "does not exist" in refusal(tmp_path / "gone")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"images": np.zeros((6, 1, 2, 2))}, "images are float64 of shape (6, 1, 2, 2), not uint8"),
        ({"images": np.zeros((6, 4), np.uint8)}, "images are uint8 of shape (6, 4)"),
        ({"images": np.zeros((6, 1, 0, 2), np.uint8)}, "6 images"),
        ({"labels": np.zeros(6, np.int32)}, "labels are int32"),
        ({"labels": np.array([0, 1, 0, 1, 0, 2])}, "labels from 0 to 2 for 2 classes"),
        ({"labels": np.array([0, 1, 0, 1, 0, -1])}, "labels from -1 to 1"),
        ({"labels": np.zeros(5, np.int64)}, "6 images, 5 labels and 6 entries"),
        ({"split": np.array([0, 0, 1, 1, 2, 3], np.uint8)}, "the split has the values [0, 1, 2, 3], not all"),
        ({"split": np.zeros(6, np.uint8)}, "the split has the values [0], not all of 0, 1 and 2"),
    ],
)
def test_an_invalid_part_is_refused(tmp_path, changes, says):
    data = toy() | changes
    names = {"class_names": data.pop("class_names")}
    tensors.write(tmp_path / "data", data, names)
    assert f"data is not a dataset file ({says}" in refusal(tmp_path / "data")


@pytest.mark.parametrize("names", [None, "even", ["even"], ["even", 1], {"even": 0, "odd": 1}])
def test_class_names_must_be_a_list_of_strings(tmp_path, names):
    data = toy()
    del data["class_names"]
    tensors.write(tmp_path / "data", data, {} if names is None else {"class_names": names})
    assert "it has no list of class names" in refusal(tmp_path / "data")


@pytest.mark.parametrize("metadata", ["[]", "1", "{", "[" * 100_000, "9" * 5000])
def test_a_file_without_valid_metadata_is_damaged(tmp_path, metadata):
    save_file({"a": np.zeros(3)}, tmp_path / "file", {"prunet": metadata})
    with pytest.raises(InputError, match=r"file is damaged"):
        tensors.read(tmp_path / "file")
    save_file({"a": np.zeros(3)}, tmp_path / "file")
    with pytest.raises(InputError, match=r"file is damaged"):
        tensors.read(tmp_path / "file")


NAMES = ["a/1.png", "b/\N{SNOWMAN}.png", "a/2 .png", "b/2.png", "a/3.png", "..b/3..png"]


def on_disk():
    digests = np.arange(6 * 16, dtype=np.uint8).reshape(6, 16)
    files = Files("/photos", NAMES, digests, 32, [1.5, 2.0, 3.0], [1.0, 0.5, 2.0])
    return toy() | {"images": files}


def test_images_on_disk_come_back_as_saved(tmp_path):
    dataset.save(tmp_path / "data", **on_disk())
    loaded, saved = dataset.load(tmp_path / "data")["images"], on_disk()["images"]
    assert len(loaded) == 6
    for part in ("folder", "names", "side", "mean", "std"):
        assert getattr(loaded, part) == getattr(saved, part)
    np.testing.assert_array_equal(loaded.digests, saved.digests)


def test_contents_tell_data_sets_apart_by_pixels_or_by_digests():
    assert list(dataset.contents(toy())) == ["images", "labels", "split"]
    data = on_disk()
    assert dataset.contents(data)["digests"] is data["images"].digests


@pytest.mark.parametrize(
    ("arrays", "metadata", "says"),
    [
        ({"names": np.zeros((2, 2), np.uint8)}, {}, "names are uint8 of shape (2, 2)"),
        ({"digests": np.zeros((6, 16), np.int64)}, {}, "digests are int64"),
        ({"digests": np.zeros((6, 15), np.uint8)}, {}, "6 names, and digests of shape (6, 15)"),
        ({"digests": np.zeros((5, 16), np.uint8)}, {}, "6 names, and digests of shape (5, 16)"),
        ({"names": b"a\0b\0c\0d\0e\0f"}, {}, "'f' is not the name of a file below the folder"),
        ({"names": b"a\0b\0c\0d\0e\0/etc/passwd\0"}, {}, "'/etc/passwd' is not the name of a file"),
        ({"names": b"a\0b\0c\0d\0e\0x/../../f\0"}, {}, "'x/../../f' is not the name of a file"),
        ({"names": b"a\0b\0c\0d\0e\0\0"}, {}, "'' is not the name of a file"),
        ({"names": b"\xff\0"}, {}, "'utf-8' codec"),
        ({"labels": np.zeros(5, np.int64)}, {}, "6 images, 5 labels and 6 entries"),
        ({}, {"side": 0}, "images of 0 pixels a side in '/photos'"),
        ({}, {"side": True}, "images of True pixels a side"),
        ({}, {"folder": 1}, "images of 32 pixels a side in 1"),
        ({}, {"mean": [1.0, 2.0]}, "no mean and standard deviation of three channels"),
        ({}, {"std": 1.0}, "no mean and standard deviation of three channels"),
        ({}, {"std": [1.0, 1.0, 0.0]}, "standard deviation [1.0, 1.0, 0.0]"),
        ({}, {"mean": [1.0, 1.0, float("nan")]}, "mean [1.0, 1.0, nan]"),
        ({}, {"more": 1}, "its metadata does not describe the image files"),
        ({}, None, "its metadata does not describe the image files"),
    ],
)
def test_invalid_images_on_disk_are_refused(tmp_path, arrays, metadata, says):
    dataset.save(tmp_path / "data", **on_disk())
    stored, saved = tensors.read(tmp_path / "data")
    for name, value in arrays.items():
        stored[name] = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else value
    saved["on_disk"] = None if metadata is None else saved["on_disk"] | metadata
    tensors.write(tmp_path / "data", stored, saved)
    message = refusal(tmp_path / "data")
    assert "data is not a dataset file (" in message
    assert says in message
