import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.deployment import inference, selection
from tests import toys
from tests.toy_cells import cell, maker
from tests.toy_faces import CROP

FINDING = {"crop": CROP, "resize": {"size": 144}}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Return the folder of a cell: two replicates with two draws each, pruned and trained."""
    trainer = maker(tmp_path_factory.mktemp("cell"))()
    masks = {name: np.repeat(mask, 2, axis=0) for name, mask in trainer.dense_masks().items()}
    masks["fc1.weight"][2:, 100:] = False
    return trainer.train([cell(trainer, start=trainer.initial_weights("init", reinits=2), masks=masks)])[0]


@pytest.mark.parametrize(("replicate", "index"), [(0, 0), (1, 2)])
def test_a_replicate_is_the_first_of_its_draws(two, replicate, index):
    stored, _ = storage.load_network(two)
    result = selection.results.read(two / "result.json")
    weights, masks, metadata = selection.select(two, replicate, {"study": "toy"})
    for name, values in weights.items():
        np.testing.assert_array_equal(values, stored[name][index])
        assert values.flags.c_contiguous
    assert masks["fc1.weight"].shape == (300, 36)
    assert metadata["study"] == "toy"
    assert metadata["density"] == pytest.approx([1, (3600 + 30300) / (10800 + 30300)][replicate], abs=0.01)
    assert metadata["test_accuracy"] == result["networks"][index]["final"]["test_accuracy"]


def test_a_missing_replicate_is_refused(two):
    with pytest.raises(InputError, match="has replicates 0 to 1, not 2; choose one"):
        selection.select(two, 2, {})


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
def test_a_selected_network_has_the_accuracy_that_training_measured(tmp_path, augment):
    """Inference prepares images as training does."""
    data, trainer = toys.data(side=9), maker(tmp_path)(1, side=9, augment=augment)
    (folder,) = trainer.train([cell(trainer)])
    weights, _, metadata = selection.select(folder, 0, selection.about_study(trainer.study, None, data))
    test = data["split"] == 2
    model = inference.build(weights, metadata)
    probabilities = inference.classify(model, data["images"][test], metadata, batch_size=7)
    assert probabilities.sum(1) == pytest.approx(1)
    assert metadata["test_accuracy"] > 0.4
    found = inference.accuracy(model, data["images"][test], data["labels"][test], metadata)
    assert found == pytest.approx(metadata["test_accuracy"])


def test_the_metadata_of_a_study_of_faces_tell_how_faces_were_cropped():
    assert selection.about_study(toys.study(), None, toys.data())["faces"] is None
    metadata = selection.about_study(toys.study(), FINDING, toys.data())
    used = ("min_confidence", "min_size", "keep", "margin", "max_side")
    assert metadata["faces"] == {name: CROP[name] for name in used} | {"size": 144}
    assert metadata["study"] == "toy"
    assert metadata["class_names"] == ["a", "b", "c"]
    assert metadata["preparation"]["shape"] == [1, 6, 6]
