"""The confusion matrix, the images that networks get wrong, and the interval of a share of test images."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from prunet.analysis import confusion_figure, mistakes
from prunet.base import files, tensors
from prunet.base.errors import InputError
from prunet.base.shares import wilson
from prunet.data.images import dataset
from stages import mistakes as stage
from tests import toys
from tests.test_footprint_stages import save_cell
from tests.toy_tools import invoke

LABELS, NAMES = np.array([0, 0, 1, 2]), ["ada", "NA", "=1+1"]
ANSWERS = np.array([[0, 1, 1, 2], [0, 1, 1, 0], [0, 2, 1, 0]])


@pytest.mark.parametrize(("right", "count"), [(0, 7), (7, 7), (3, 7), (343, 360), (1, 1)])
def test_wilsons_interval_is_scipys(right, count):
    expected = binomtest(right, count).proportion_ci(method="wilson")
    assert wilson(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_the_confusion_counts_the_names_of_every_class_over_all_networks():
    table = mistakes.confusion(ANSWERS, LABELS, NAMES)
    assert table.values.tolist() == [
        ["ada", "ada", 3, 0.5],
        ["ada", "NA", 2, pytest.approx(1 / 3)],
        ["ada", "=1+1", 1, pytest.approx(1 / 6)],
        ["NA", "NA", 3, 1.0],
        ["=1+1", "ada", 2, pytest.approx(2 / 3)],
        ["=1+1", "=1+1", 1, pytest.approx(1 / 3)],
    ]
    assert table.groupby("true")["share"].sum().tolist() == pytest.approx([1, 1, 1])


def test_images_are_listed_by_how_many_networks_get_them_wrong():
    table = mistakes.wrong(ANSWERS, LABELS, NAMES)
    assert list(table.columns) == ["image", "true", "named", "networks", "of"]
    assert table.values.tolist() == [
        [1, "ada", "NA", 2, 3],
        [3, "=1+1", "ada", 2, 3],
        [1, "ada", "=1+1", 1, 3],
    ]
    none = mistakes.wrong(LABELS[None], LABELS, NAMES)
    assert none.empty
    assert np.arange(9)[pd.concat([none, table])["image"]].tolist() == [1, 3, 1]


@pytest.mark.parametrize(
    ("name", "shown"), [("李", "Li"), ("$x$", "$x$"), ("a\x1bb", "ab"), ("n" * 20, "n" * 11 + "…")]
)
def test_names_are_drawn_in_letters_that_every_font_has(name, shown):
    assert confusion_figure.spelt(name) == shown


def test_the_figure_has_a_matrix_for_each_scheme_in_the_order_of_the_classes():
    parts = [
        mistakes.confusion(ANSWERS, LABELS, NAMES).assign(scheme=name, density=0.5) for name in ("b", "a")
    ]
    figure = confusion_figure.confusion(pd.concat(parts), "toy")
    assert [axes.get_title() for axes in figure.axes] == ["b, 50.0%", "a, 50.0%"]
    expected = [[1 / 2, 1 / 3, 1 / 6], [0, 1, 0], [2 / 3, 0, 1 / 3]]
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), expected)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == NAMES
    assert [text.get_text() for text in figure.axes[0].texts] == ["50", "33", "17", "100", "67", "33"]


@pytest.mark.parametrize("named", [True, False])
def test_the_stage_names_the_test_images_by_both_networks(tmp_path, named):
    data = toys.data()
    own = {"files": [f"photos/{number}.png" for number in range(120)]} if named else {}
    dataset.save(tmp_path / "data", **data | {"class_names": ["ada", "NA", "=1+1"]}, **own)
    save_cell(tmp_path / "dense", 1)
    save_cell(tmp_path / "cells" / "01", 0.2)
    study = {"study": toys.study(), "finding": None}
    files.write_json(tmp_path / "params", study | {"scheme": "original", "round": "01"})
    outputs = [tmp_path / name for name in ("confusion.csv", "mistakes.csv", "confusion.png")]
    done = invoke(stage, *(tmp_path / name for name in ("params", "data", "dense", "cells")), *outputs)
    assert done.exit_code == 0, done.output
    table = pd.read_csv(outputs[0], dtype={"round": str}, keep_default_na=False)
    assert dict(table.groupby("scheme")["count"].sum()) == {
        "dense": 60,
        "original": 60,
    }  # 30 images, 2 networks
    assert set(table["true"]) == {"ada", "NA", "=1+1"}
    assert table.groupby("scheme")["density"].first().tolist() == pytest.approx([1, 0.2], abs=0.01)
    wrong = pd.read_csv(outputs[1], dtype={"round": str}, keep_default_na=False)
    assert wrong["image"].between(90, 119).all()  # the test split
    classes = dict(zip(range(120), np.array(["ada", "NA", "=1+1"])[data["labels"]], strict=True))
    assert wrong["true"].tolist() == [classes[image] for image in wrong["image"]]
    assert wrong["file"].tolist() == [f"photos/{image}.png" if named else "" for image in wrong["image"]]
    right = table[table["true"] == table["named"]].groupby("scheme")["count"].sum()
    assert wrong.groupby("scheme")["networks"].sum().to_dict() == (60 - right).to_dict()
    assert outputs[2].read_bytes().startswith(b"\x89PNG")


def test_a_dataset_file_counts_its_images_and_keeps_their_names(tmp_path):
    dataset.save(tmp_path / "data", **toys.data(), files=[f"{number}.png" for number in range(120)])
    assert dataset.count(tmp_path / "data", "test") == 30
    tensors.write(tmp_path / "untested", {"split": np.zeros(9, np.uint8)}, {})
    with pytest.raises(InputError, match="untested has no test image; run the stage that writes it again"):
        dataset.count(tmp_path / "untested", "test")
    with pytest.raises(InputError, match="data is damaged"):
        tensors.read(tmp_path / "data", ["splits"])
    assert dataset.load(tmp_path / "data")["files"][119] == "119.png"
    dataset.save(tmp_path / "short", **toys.data(), files=["0.png"])
    with pytest.raises(InputError, match="it has 120 images, and not as many names of files"):
        dataset.load(tmp_path / "short")
