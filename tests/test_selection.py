import numpy as np
import pytest
import yaml

from prunet.base.errors import InputError
from prunet.cells import storage as tickets
from prunet.deployment import inference, selection
from prunet.training.cells import Study
from tests import toys
from tests.test_params import PARAMS


def params(dataset="optdigits", **training):
    study = toys.block(**training) | {"dataset": dataset}
    images = [] if dataset == "faces" else ["toy"]
    return yaml.safe_load(PARAMS.read_text()) | {"studies": {"toy": study}, "image_studies": images}


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """Two replicates with two draws each, pruned and trained."""
    folder = tmp_path_factory.mktemp("cell")
    study = Study.of(params(), "toy", toys.data(), folder / "unfinished")
    start = study.initial_weights("init", reinits=2)
    masks = {name: np.repeat(mask, 2, axis=0) for name, mask in study.dense_masks().items()}
    masks["fc1.weight"][2:, 100:] = False
    weights, _, result, _ = study.train("toy", start, masks, ("init",))
    tickets.save_cell(folder / "toy", weights, masks, result)
    return folder / "toy", weights, result


@pytest.mark.parametrize(("replicate", "index"), [(0, 0), (1, 2)])
def test_a_replicate_is_the_first_of_its_draws(cell, replicate, index):
    folder, weights, result = cell
    own, masks, about = selection.select(folder, replicate, {"study": "toy"})
    for name, values in own.items():
        np.testing.assert_array_equal(values, weights[name][index])
        assert values.flags.c_contiguous
    assert masks["fc1.weight"].shape == (300, 36)
    assert about["study"] == "toy"
    assert about["density"] == pytest.approx([1, (3600 + 30300) / (10800 + 30300)][replicate], abs=0.01)
    assert about["test_accuracy"] == result["networks"][index]["final"]["test_accuracy"]


def test_a_replicate_that_is_not_there_is_refused(cell):
    with pytest.raises(InputError, match="has replicates 0 to 1, not 2: choose one"):
        selection.select(cell[0], 2, {})


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
def test_a_selected_network_has_the_accuracy_that_training_measured(tmp_path, augment):
    """Images take the same way to the model in use as in training."""
    values, data = params(augment=augment), toys.data(side=9)
    study = Study.of(values, "toy", data, tmp_path / "unfinished")
    weights, _, result, _ = study.train("toy", study.initial_weights("init"), study.dense_masks(), ("init",))
    tickets.save_cell(tmp_path / "toy", weights, study.dense_masks(), result)
    own, _, about = selection.select(tmp_path / "toy", 1, selection.about_study(values, "toy", data))
    test = data["split"] == 2
    model = inference.build(own, about)
    probabilities = inference.classify(model, data["images"][test], about, batch_size=7)
    assert probabilities.sum(1) == pytest.approx(1)
    measured = result["networks"][1]["final"]["test_accuracy"]
    assert measured > 0.4
    assert inference.accuracy(model, data["images"][test], data["labels"][test], about) == measured


def test_what_is_said_about_a_study_tells_how_faces_were_cut_out():
    assert selection.about_study(params(), "toy", toys.data())["faces"] is None
    about = selection.about_study(params("faces"), "toy", toys.data())
    assert about["faces"] == {
        "min_confidence": 0.9,
        "min_size": 24,
        "keep": "largest",
        "margin": 0.2,
        "max_side": 800,
        "size": 144,
    }
    assert about["class_names"] == ["a", "b", "c"]
    assert about["preparation"]["shape"] == [1, 6, 6]
