"""Verification and identification of people whom the networks never saw, by scheme and round."""

import math

import numpy as np
import pandas as pd
import pytest

from prunet.analysis import new_people, new_people_figures
from prunet.analysis.new_people import Cell
from prunet.base import files, tables
from prunet.cells import storage
from prunet.data.images import dataset
from prunet.models.built_in import MODELS
from prunet.recognition import features, identification, strangers
from prunet.recognition.strangers import Strangers
from stages import new_people as stage
from stages import plot_new_people
from tests import toys
from tests.test_summary import cell as result
from tests.test_verification import directions
from tests.toy_faces import CROP
from tests.toy_networks import prune, single_weights
from tests.toy_tools import invoke, refusal

SETTINGS = {"false_accepts": 0.01, "photos": [1, 2]}
PEOPLE = np.array([0, 0, 1, 1])
APART, MIXED = directions(0, 5, 90, 95), directions(0, 90, 5, 95)


# identification


def test_each_face_that_is_not_enrolled_gets_the_name_of_the_nearest_centre():
    assert identification.accuracy(APART, PEOPLE, 1, 5, seed=0) == 1
    assert identification.accuracy(MIXED, PEOPLE, 1, 5, seed=0) < 0.5


def test_all_but_one_photo_is_enrolled_where_there_are_fewer_and_a_single_one_is_never_named():
    people, vectors = np.array([3, 3, 3, 7, 9]), directions(0, 10, 20, 90, 4)
    masks = list(identification._drawn(np.array([0, 0, 0, 1, 2]), 2, 50, np.random.default_rng(0)))
    assert {tuple(mask) for mask in masks} == {
        (True, True, False, True, True),
        (True, False, True, True, True),
        (False, True, True, True, True),
    }
    # The face at 0 degrees alone is nearer to the one at 4 than to the centre of its other two.
    assert identification.accuracy(vectors, people, 5, 300, seed=1) == pytest.approx(2 / 3, abs=0.1)


def test_more_photos_average_bad_ones_out():
    people, vectors = np.repeat([0, 1], 6), directions(0, 2, 4, 6, 8, 100, *range(90, 102, 2))
    few, more = (identification.accuracy(vectors, people, most, 200, seed=0) for most in (1, 5))
    assert few < more
    assert few == identification.accuracy(vectors, people, 1, 200, seed=0)


# the tables


def test_rates_are_means_over_replicates_of_the_networks_that_embed_the_faces():
    cells = [
        Cell("dense", "00", 1.0, [0, 1], [0.9, 0.7], lambda: iter([APART, MIXED])),
        Cell("random", "01", 0.5, [0, 0], [0.5, 0.7], lambda: iter([APART, MIXED])),
        Cell("sface", "", math.nan, [0], [math.nan], lambda: iter([APART])),
    ]
    table, curves = new_people.measure(cells, PEOPLE, SETTINGS, seed=0)
    dense, drawn, pretrained = (row for _, row in table.iterrows())
    assert (dense["replicates"], drawn["replicates"]) == (2, 1)
    assert dense["accuracy_mean"] == pytest.approx(0.8)
    assert dense["accuracy_ci95"] == pytest.approx(12.7062 * 0.1, rel=1e-4)  # Student's t of two values
    assert dense["true_accepts_mean"] == drawn["true_accepts_mean"] == 0.5  # one network has all, one none
    assert (dense["auroc_mean"], pretrained["auroc_mean"]) == (pytest.approx((1 + 1 / 4) / 2), 1)
    assert math.isnan(drawn["true_accepts_ci95"])
    assert (pretrained["identified_1_mean"], pretrained["equal_error_rate_mean"]) == (1, 0)
    assert math.isnan(pretrained["accuracy_mean"])
    assert table[["people", "faces", "same", "different"]].values.tolist() == [[2, 4, 2, 4]] * 3
    assert (table["false_accepts"] == 0.01).all()
    own = curves[curves["scheme"] == "dense"].set_index("false_accepts")["true_accepts"]
    assert (own.iloc[0], own.iloc[-1]) == (0.5, 1)
    assert own.is_monotonic_increasing


def test_the_figures_draw_both_rates_the_pretrained_embedding_and_a_curve_for_each_density():
    cells = [
        Cell("original", number, density, [0, 1], [0.9, 0.7], lambda: iter([APART, MIXED]))
        for number, density in (("00", 1.0), ("01", 0.5))
    ]
    cells.append(Cell("sface", "", math.nan, [0], [math.nan], lambda: iter([APART])))
    table, curves = new_people.measure(cells, PEOPLE, SETTINGS, seed=0)
    axes = new_people_figures.by_density(table, "toy").axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert drawn["trained people"].tolist() == pytest.approx([0.8, 0.8])
    assert drawn["new people"].tolist() == pytest.approx([0.5, 0.5])
    assert list(drawn["by SFace"]) == [1, 1]
    roc = new_people_figures.roc(curves, "toy").axes[0]
    assert [line.get_label() for line in roc.lines] == ["original, 100.0%", "original, 50.0%", "sface"]


# the stage

SIDE = 36


def network(seed):
    """Return the tensors and masks of a light-cnn-9 of two people, half of whose weights are pruned."""
    model, masks = prune(MODELS["light-cnn-9"]((1, 16, 16), 2), single_weights, 0.5, seed=seed)
    return {name: values.numpy() for name, values in model.float().state_dict().items()}, masks


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Write the dataset, the cells and the strangers of a study of faces."""
    folder, rng = tmp_path_factory.mktemp("study"), np.random.default_rng(0)
    data = toys.data(SIDE, 24, 2)
    dataset.save(folder / "data", **data)
    networks = [network(seed) for seed in range(2)]
    weights, masks = (
        {name: np.stack([pair[part][name] for pair in networks]) for name in networks[0][part]}
        for part in range(2)
    )
    storage.save_weights(folder / "init", weights)
    for name, density in (("dense", 1.0), ("cells/00", 1.0), ("cells/01", 0.5), ("cells/02", 0.25)):
        storage.save_cell(folder / name, weights, masks, result(density, 0.9, 0.8))
    base = rng.integers(0, 256, (3, 1, SIDE, SIDE))
    images = (base[[0, 0, 1, 1, 2]] + rng.integers(0, 20, (5, 1, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    people = np.array([0, 0, 1, 1, -1])
    vectors = directions(0, 1, 90, 91, 5)
    strangers.save(folder / "faces", Strangers(images, people, ["ada", "bo"], vectors))
    block = toys.study(augment="crop-flip") | {"model": "light-cnn-9", "input_size": 16}
    finding = {"crop": CROP, "resize": {"size": SIDE}}
    params = {"study": block, "finding": finding, "scheme": "original", "rounds": ["00", "01", "02"]}
    files.write_json(folder / "params", params | {"headline": "01", "new_people": SETTINGS})
    return folder


ARGUMENTS = ("params", "data", "init", "dense", "cells", "faces")


def test_the_stage_measures_every_round_and_draws(study, tmp_path):
    outputs = tmp_path / "new_people.csv", tmp_path / "roc.csv"
    done = invoke(stage, *(study / name for name in ARGUMENTS), *outputs)
    assert done.exit_code == 0, done.output
    table = tables.read(outputs[0], ["density", "accuracy_mean", "true_accepts_mean", "identified_2_ci95"])
    assert table["scheme"].tolist() == ["dense", *["original"] * 3, "init", "pixels", "sface"]
    assert table["round"].tolist()[:-3] == ["00", "00", "01", "02"]
    assert table["accuracy_mean"].iloc[0] == pytest.approx(0.75)  # at the last step
    assert (table["faces"] == 4).all()
    assert table["true_accepts_mean"].iloc[-1] == 1
    assert (table["auroc_mean"] > 0.5).all()
    assert table.iloc[0]["auroc_mean"] == table.iloc[4]["auroc_mean"]  # the toy is not trained
    assert table["replicates"].tolist() == [2] * 5 + [1] * 2
    curves = pd.read_csv(outputs[1], dtype=str)
    assert list(curves.groupby(["scheme", "round"], dropna=False, sort=False).groups)[:3] == [
        ("dense", "00"),
        ("original", "01"),
        ("original", "02"),
    ]
    files.write_json(tmp_path / "plot", {"study": "toy"})
    drawn = invoke(plot_new_people, tmp_path / "plot", *outputs, tmp_path / "figures")
    assert drawn.exit_code == 0, drawn.output
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["new_people.png", "roc.png"]


def test_strangers_without_names_are_refused(study, tmp_path):
    none = Strangers(np.empty((0, 1, SIDE, SIDE), np.uint8), np.empty(0, np.int64), [], None)
    strangers.save(tmp_path / "faces", none)
    inputs = [study / name for name in ARGUMENTS[:-1]]
    message = refusal(stage, *inputs, tmp_path / "faces", tmp_path / "table", tmp_path / "roc")
    assert message.startswith("the folder export.strangers has no photos of people by name: put photos")
    assert not (tmp_path / "table").exists()


def test_the_cosine_of_pixels_is_their_correlation():
    images = np.random.default_rng(0).integers(0, 256, (2, 1, 5, 5), np.uint8)
    first, second = features.pixels(images)
    assert first @ second == pytest.approx(np.corrcoef(images.reshape(2, -1))[0, 1], abs=1e-6)
    brighter = features.pixels(images // 2 + 50)
    assert (brighter * features.pixels(images)).sum(1) == pytest.approx([1, 1], abs=1e-3)
