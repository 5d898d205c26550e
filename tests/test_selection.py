import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.deployment import inference, selection
from prunet.training.cells import Cell, Job
from prunet.training.trainer import Trainer
from tests import toys
from tests.toy_faces import CROP

FINDING = {"crop": CROP, "resize": {"size": 144}}


def train(folder, study, data, masks=None, reinits=1):
    """Train one cell and return its folder."""
    trainer = Trainer(study, data, folder)
    start = trainer.initial_weights("init", reinits=reinits)
    masks = masks or trainer.dense_masks()
    count = len(next(iter(masks.values())))
    return trainer.train([Cell("toy", "key", count, lambda: Job(start, masks, ("init",)))])[0]


@pytest.fixture(scope="module")
def cell(tmp_path_factory):
    """Two replicates with two draws each, pruned and trained."""
    folder = tmp_path_factory.mktemp("cell")
    dense = Trainer(toys.study(), toys.data(), folder).dense_masks()
    masks = {name: np.repeat(mask, 2, axis=0) for name, mask in dense.items()}
    masks["fc1.weight"][2:, 100:] = False
    return train(folder, toys.study(), toys.data(), masks, reinits=2)


@pytest.mark.parametrize(("replicate", "index"), [(0, 0), (1, 2)])
def test_a_replicate_is_the_first_of_its_draws(cell, replicate, index):
    stored, _ = storage.load_network(cell)
    result = selection.results.read(cell / "result.json")
    weights, masks, metadata = selection.select(cell, replicate, {"study": "toy"})
    for name, values in weights.items():
        np.testing.assert_array_equal(values, stored[name][index])
        assert values.flags.c_contiguous
    assert masks["fc1.weight"].shape == (300, 36)
    assert metadata["study"] == "toy"
    assert metadata["density"] == pytest.approx([1, (3600 + 30300) / (10800 + 30300)][replicate], abs=0.01)
    assert metadata["test_accuracy"] == result["networks"][index]["final"]["test_accuracy"]


def test_a_missing_replicate_is_refused(cell):
    with pytest.raises(InputError, match="has replicates 0 to 1, not 2; choose one"):
        selection.select(cell, 2, {})


@pytest.mark.parametrize("augment", ["none", "crop-flip"])
def test_a_selected_network_has_the_accuracy_that_training_measured(tmp_path, augment):
    """Inference prepares images as training does."""
    data = toys.data(side=9)
    study = toys.study(augment=augment) | {"replicates": 1}
    folder = train(tmp_path, study, data)
    weights, _, metadata = selection.select(folder, 0, selection.about_study(study, None, data))
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
