"""Image folders, from drawn photos to the dataset file."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from prunet.data.images import dataset, image_files
from prunet.data.images.squares import square
from tests.image_sets import draw, prepare, tree

SMALL = {"side": 16, "val": 6, "test": 3}


def run(tmp_path, **data):
    return prepare(tmp_path, "folder", **(SMALL | {"source": str(tmp_path / "photos")} | data))


def loaded(tmp_path, **data):
    """Run the stage; return the dataset and the warnings."""
    done = run(tmp_path, **data)
    assert done.exit_code == 0, done.output
    return dataset.load(tmp_path / "out"), done.stderr


def refused(tmp_path, **data):
    """Run the stage on a folder that it refuses; return the message."""
    (tmp_path / "out").unlink(missing_ok=True)
    done = run(tmp_path, **data)
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    assert not (tmp_path / "out").exists()
    return done.stderr


def numbers(data, side):
    """Return the numbers of the photos in a split: their blue is three times the number, see `draw`."""
    blue = data["images"][data["split"] == side][:, 2].mean((1, 2))
    return np.round((blue - 29.5) / 3)


def test_a_folder_without_parts_is_split_by_count_and_stratified_by_class(tmp_path):
    tree(tmp_path / "photos")
    data, warnings = loaded(tmp_path)
    assert warnings == ""
    assert data["images"].shape == (30, 3, 16, 16)
    assert data["class_names"] == ["ants", "bees", "cows"]
    counts = [np.bincount(data["labels"][data["split"] == side]).tolist() for side in range(3)]
    assert counts == [[7, 7, 7], [2, 2, 2], [1, 1, 1]]
    # `draw` gives each class its own colours.
    red, green = data["images"][:, 0].mean((1, 2)), data["images"][:, 1].mean((1, 2))
    assert (np.round((red - 29.5) / 90) == data["labels"]).all()
    assert (np.round((209.5 - green) / 90) == data["labels"]).all()


@pytest.mark.parametrize(
    ("parts", "counts", "first"),
    [
        (("train", "val", "test"), [30, 30, 30], (0, 20, 40)),
        (("train", "val"), [24, 6, 30], (0, 0, 20)),  # val is the test split: it must not choose
        (("train", "test"), [24, 6, 30], (0, 0, 20)),
    ],
)
def test_parts_become_splits_and_a_missing_validation_split_is_drawn_from_train(
    tmp_path, parts, counts, first
):
    tree(tmp_path / "photos", parts)
    data, _ = loaded(tmp_path)
    assert np.bincount(data["split"]).tolist() == counts
    for side, start in enumerate(first):
        found = numbers(data, side)
        assert found.min() >= start - 1
        assert found.max() <= start + 10


@pytest.mark.field
@pytest.mark.parametrize(
    ("parts", "counts"),
    [
        (("Training", "Testing"), [24, 6, 30]),
        (("TRAIN", "VAL"), [24, 6, 30]),
        (("seg_train", "seg_test"), [24, 6, 30]),
        (("Train", "Valid", "Test"), [30, 30, 30]),
        (("train_set", "validation", "test-images"), [30, 30, 30]),
        (("train2017", "dev"), [24, 6, 30]),
        (("training",), [21, 6, 3]),
        (("seg_train/seg_train", "seg_test/seg_test"), [24, 6, 30]),
    ],
)
def test_usual_names_of_parts_are_recognised(tmp_path, parts, counts):
    tree(tmp_path / "photos", parts)
    data, warnings = loaded(tmp_path)
    assert warnings == ""
    assert np.bincount(data["split"]).tolist() == counts
    assert data["class_names"] == ["ants", "bees", "cows"]


@pytest.mark.field
def test_what_is_not_used_is_said(tmp_path):
    photos = tree(tmp_path / "photos", ("train", "test"))
    draw(photos / ".old" / "cat.png", 0, 0)
    draw(photos / "train" / "ants" / ".thumbnails" / "cat.png", 0, 0)
    (photos / "__MACOSX").mkdir()
    (photos / "train" / "labels.csv").touch()
    _, warnings = loaded(tmp_path)
    assert warnings == (
        f"warning: {photos}: not used: 1 beside the class folders in {photos}/train ('labels.csv'); "
        "hidden folders ('.old', '__MACOSX', 'train/ants/.thumbnails').\n"
    )


@pytest.mark.field
def test_spellings_of_a_class_are_joined_if_they_look_the_same_and_reported_if_they_are_close(tmp_path):
    photos = tree(tmp_path / "photos", ("train", "test"), ("Zo\u00eb", "bees", "Bees"))
    (photos / "test" / "Zo\u00eb").rename(photos / "test" / "Zoe\u0308")
    data, warnings = loaded(tmp_path)
    assert data["class_names"] == ["Bees", "Zo\u00eb", "bees"]
    assert warnings.startswith("warning: 1 group of class names differs only in case, accents")
    assert "Bees (20) and bees (20)" in warnings
    assert "Bees (20)" in refused(tmp_path, doubtful="refuse")


@pytest.mark.field
def test_all_rare_classes_are_left_out_and_named_at_once(tmp_path):
    photos = tree(tmp_path / "photos")
    for name, count in (("rare", 1), ("scarce", 3)):
        for number in range(count):
            draw(photos / name / f"{number}.png", 1, 60 + number)
    (photos / "empty").mkdir()
    for path in sorted((photos / "cows").iterdir())[1:]:
        path.write_text("damaged")
    data, warnings = loaded(tmp_path)
    assert data["class_names"] == ["ants", "bees"]
    assert "leaves out 4 classes: cows (1), empty (0), rare (1), scarce (3). Add images" in warnings
    assert "3 classes: empty (0), rare (1), scarce (3)" in refused(tmp_path, doubtful="refuse")
    message = refused(tmp_path, min_images=1)
    assert "these classes have a single image to draw from: rare." in message


def copy(photos, one, other):
    """Save an image again as a JPEG of half the size."""
    with Image.open(photos / one) as image:
        (photos / other).parent.mkdir(exist_ok=True)
        image.resize((48, 40)).save(photos / other, quality=90)


def smooth(photos):
    """Replace each image by one of broad colours, as photos have."""
    for number, path in enumerate(sorted(photos.rglob("*.png"))):
        coarse = np.random.default_rng(number).integers(20, 230, (5, 6, 3), np.uint8)
        Image.fromarray(coarse).resize((96, 80), Image.Resampling.BICUBIC).save(path)
    return photos


@pytest.mark.field
@pytest.mark.parametrize("memory", [10**9, 0])
def test_copies_of_drawn_images_are_on_no_other_side(tmp_path, memory):
    photos = smooth(tree(tmp_path / "photos"))
    for path in sorted(photos.rglob("*.png")):
        name = path.relative_to(photos).as_posix()
        copy(photos, name, name.replace(".png", " (1).jpg"))
    done = run(tmp_path, memory=memory, side=64)
    assert done.exit_code == 0, done.output
    assert done.stderr == ""
    assert done.stdout == (
        f"{photos}: 51 images, 3 classes, 42 train, 6 val, 3 test; copies on another side: 9 left out\n"
    )
    split = dataset.load(tmp_path / "out")["split"]
    assert np.bincount(split).tolist() == [42, 6, 3]


@pytest.mark.field
def test_copies_across_given_parts_are_left_out_of_training_and_reported(tmp_path):
    photos = smooth(tree(tmp_path / "photos", ("train", "val", "test")))
    shutil.copy(photos / "test/ants/03.png", photos / "train/ants/same.png")
    copy(photos, "val/bees/04.png", "train/bees/resized.jpg")
    copy(photos, "test/bees/05.png", "val/bees/resized.jpg")
    data, warnings = loaded(tmp_path, side=64)
    assert np.bincount(data["split"]).tolist() == [30, 30, 30]
    assert warnings == (
        "warning: 3 images are copies, left out, of images in a part of the folder that must not know them: "
        "train/ants/same.png of test/ants/03.png, train/bees/resized.jpg of val/bees/04.png, "
        "val/bees/resized.jpg of test/bees/05.png. Remove the copies to silence this.\n"
    )
    assert "3 images are copies" in refused(tmp_path, side=64, doubtful="refuse")


@pytest.mark.field
def test_a_picture_in_two_classes_is_reported(tmp_path):
    photos = smooth(tree(tmp_path / "photos"))
    copy(photos, "ants/03.png", "bees/also an ant.jpg")
    _, warnings = loaded(tmp_path, side=64)
    assert "1 picture is in two classes: ants/03.png and bees/also an ant.jpg. Move" in warnings
    assert "two classes" in refused(tmp_path, side=64, doubtful="refuse")


@pytest.mark.field
def test_linked_folders_and_classes_are_read_and_broken_links_and_loops_reported(tmp_path):
    photos = tree(tmp_path / "photos")
    for name, label in (("more", 0), ("dogs", 1)):
        for number in range(10):
            draw(tmp_path / name / f"{number}.png", label, 60 + number)
    (photos / "ants" / "more").symlink_to(tmp_path / "more")
    (photos / "dogs").symlink_to(tmp_path / "dogs")
    (photos / "bees" / "loop").symlink_to(photos / "bees")
    (photos / "gone").symlink_to(tmp_path / "nowhere")
    data, warnings = loaded(tmp_path, val=8, test=4)
    assert np.bincount(data["labels"]).tolist() == [20, 10, 10, 10]
    assert "1 beside the class folders" in warnings
    assert "'gone'" in warnings
    assert "'bees/loop' " in warnings


def test_the_same_seed_and_folder_give_the_same_bytes(tmp_path):
    tree(tmp_path / "photos")
    loaded(tmp_path)
    first = (tmp_path / "out").read_bytes()
    loaded(tmp_path)
    assert (tmp_path / "out").read_bytes() == first


def test_an_image_becomes_its_centre_square_upright_and_rgb(tmp_path):
    stripes = np.repeat([[[255, 0, 0]] * 4 + [[0, 255, 0]] * 16 + [[0, 0, 255]] * 4], 16, axis=0)
    Image.fromarray(stripes.astype(np.uint8)).save(tmp_path / "wide.png")  # 24 x 16: red, green, blue
    assert (square(tmp_path / "wide.png", 16) == np.array([0, 255, 0])[:, None, None]).all()
    whole = Image.open(tmp_path / "wide.png").resize((6, 4), Image.Resampling.BILINEAR)
    small = square(tmp_path / "wide.png", 4).transpose(1, 2, 0)
    np.testing.assert_allclose(small.astype(int), np.asarray(whole)[:, 1:5], atol=1)
    halves = np.repeat([[10] * 8 + [200] * 8], 16, axis=0).astype(np.uint8)
    gray = Image.fromarray(halves)
    exif = gray.getexif()
    exif[0x0112] = 6  # turned by a quarter
    gray.save(tmp_path / "turned.png", exif=exif)
    turned = square(tmp_path / "turned.png", 16)
    assert turned.shape == (3, 16, 16)
    assert (turned[:, :8] == 10).all()
    assert (turned[:, 8:] == 200).all()
    Image.fromarray(halves[:8, 4:12]).save(tmp_path / "tiny.png")  # 8 x 8: as small as a digit
    assert (square(tmp_path / "tiny.png", 8) == halves[:8, 4:12]).all()


def spoil(folder):
    """Add files to the class `ants` that are not readable images; return the reason expected for each."""
    ants = folder / "ants"
    (ants / "notes.txt").write_text("not an image")
    (ants / "empty.jpg").touch()
    good = (ants / "00.png").read_bytes()
    (ants / "cut.png").write_bytes(good[: len(good) // 2])
    (ants / "broken link.png").symlink_to("nowhere")
    os.mkfifo(ants / "pipe.png")
    (ants / ".hidden.png").write_bytes(b"hidden files are skipped")
    Image.new("1", (20_000, 10_000)).save(ants / "bomb.png")
    (ants / os.fsdecode(b"caf\xe9.png")).write_bytes(good)
    return {
        "notes.txt": "is not a JPEG",
        "empty.jpg": "is empty",
        "cut.png": "does not decode",
        "broken link.png": "does not exist or is not a file",
        "pipe.png": "does not exist or is not a file",
        "bomb.png": "20000 x 10000 pixels are more than 100000000",
        "caf\\udce9.png": "has a name that is not UTF-8",
    }


@pytest.mark.parametrize("memory", [10**9, 0])
def test_unreadable_files_are_left_out_listed_and_counted(tmp_path, memory):
    expected = spoil(tree(tmp_path / "photos"))
    data, warnings = loaded(tmp_path, memory=memory)
    assert len(data["images"]) == len(data["labels"]) == 30
    assert warnings.startswith(f"warning: {tmp_path}/photos: not used: 1 hidden files ('.hidden.png').\n")
    assert f"{len(expected)} of {30 + len(expected)} files are left out" in warnings
    for name, reason in expected.items():
        assert f"'ants/{name}' {reason}" in warnings


def test_images_in_subfolders_of_a_class_and_links_to_files_count(tmp_path):
    photos = tree(tmp_path / "photos")
    draw(photos / "ants" / "more" / "and more" / "deep.png", 0, 11)
    (photos / "ants" / "link.png").symlink_to(photos / "ants" / "more" / "and more" / "deep.png")
    (photos / "README.txt").write_text("beside the classes")
    assert len(loaded(tmp_path)[0]["images"]) == 32


UNREADABLE = "cannot be read (No such file or directory)"
VAL = ("train", "val")
AMBIGUOUS = "photos is ambiguous: "
LACKS = "no image in one of the splits train, val, test: "


def add(name):
    return lambda photos: (photos / name).mkdir()


def remove(*names):
    return lambda photos: [shutil.rmtree(photos / name) for name in names]


def each(folder, change, first=0):
    return lambda photos: [change(path) for path in sorted((photos / folder).iterdir())[first:]]


@pytest.mark.parametrize(
    ("parts", "change", "says"),
    [
        ((), remove(), f"photos {UNREADABLE}: set data.source to a folder of images"),
        ((), Path.touch, "photos cannot be read (Not a directory)"),
        ((), Path.mkdir, "photos holds 0 class folders"),
        (("",), remove("ants", "bees"), "holds 1 class folders"),
        (VAL, each("val/bees", Path.unlink), f"{LACKS}bees (8, 2, 0)"),
        (VAL, each("val/bees", lambda path: path.write_text("x")), f"{LACKS}bees (8, 2, 0)"),
        (VAL, remove("val/bees"), f"{LACKS}bees (8, 2, 0)"),
        (VAL, remove("train/ants", "val/cows"), f"{LACKS}ants (0, 0, 10), cows (7, 3, 0)"),
        (("train", "test"), remove("test/ants", "test/bees", "test/cows"), "test holds no class folders"),
        (
            ("",),
            lambda photos: (photos / "bees").rename(photos / "be\x1bes"),
            "'be\\x1bes' are not printable",
        ),
        (("train", "valid", "val"), remove(), AMBIGUOUS + "'val', 'valid' are names of the same part"),
        (("Training", "test", "holdout"), remove(), "'Training', 'test' are names of parts, but 'holdout'"),
        (("val", "test"), remove(), "'test', 'val' are names of parts, but there is no train"),
        (("",), add("seg_test"), AMBIGUOUS + "'seg_test' are names of parts, but 'ants', 'bees', 'cows' are"),
    ],
)
def test_a_folder_that_is_not_a_data_set_is_refused(tmp_path, parts, change, says):
    tree(tmp_path / "photos", parts)
    change(tmp_path / "photos")
    assert says in refused(tmp_path)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"val": 26}, "data.val is 26: to draw from 27 images of 3 classes, it must be from 3 to 24"),
        ({"test": 2}, "data.test is 2: to draw from 30 images of 3 classes, it must be from 3 to 27"),
    ],
)
def test_a_split_that_lacks_a_class_is_refused(tmp_path, data, says):
    tree(tmp_path / "photos")
    assert says in refused(tmp_path, **data)


def test_a_folder_too_large_for_memory_stays_on_disk(tmp_path):
    tree(tmp_path / "photos", ("train", "val"))
    in_memory, _ = loaded(tmp_path, memory=4 * 3 * 16 * 16 * 60)
    on_disk, _ = loaded(tmp_path, memory=4 * 3 * 16 * 16 * 60 - 1)
    files = on_disk["images"]
    assert isinstance(files, image_files.Files)
    assert len(files) == 60
    assert (files.folder, files.side) == (str(tmp_path / "photos"), 16)
    for part in ("labels", "split"):
        np.testing.assert_array_equal(on_disk[part], in_memory[part])
    decoded = np.stack([square(tmp_path / "photos" / name, 16) for name in files.names])
    np.testing.assert_array_equal(decoded, in_memory["images"])
    train = decoded[on_disk["split"] == 0].astype(np.float64)
    np.testing.assert_allclose(files.mean, train.mean((0, 2, 3)))
    np.testing.assert_allclose(files.std, train.std((0, 2, 3), ddof=1))


def test_another_photo_under_the_same_name_is_another_data_set(tmp_path):
    photos = tree(tmp_path / "photos")
    first, _ = loaded(tmp_path, memory=0)
    shutil.copy(photos / "ants" / "01.png", photos / "ants" / "00.png")
    second, _ = loaded(tmp_path, memory=0)
    differ = (first["images"].digests != second["images"].digests).any(1)
    assert [name for name, new in zip(first["images"].names, differ, strict=True) if new] == ["ants/00.png"]
