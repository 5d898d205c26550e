"""A network in parts goes through training and tickets like any other."""

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.compression import low_rank, rank_choice
from prunet.deployment import compact, inference
from prunet.models import loading
from prunet.training.trainer import Trainer
from tests import toys
from tests.toy_cells import maker, train

METADATA = {
    "model": "lenet-300-100",
    "class_names": ["a", "b", "c"],
    "preparation": {"stored": 6, "side": 6, "shape": [1, 6, 6], "mean": 30.5, "std": 70.25},
}


@pytest.fixture
def factored(tmp_path):
    """Return a trained network's parts, and their ranks."""
    trainer = maker(tmp_path)()
    weights, masks, _ = train(trainer)
    ranks, _ = rank_choice.choose(trainer.model, weights, masks, "number", 8)
    return low_rank.factor(trainer.model, weights, masks, ranks, torch.randn(2, 1, 6, 6)), ranks


def test_the_parts_are_trained_under_their_masks(factored, tmp_path):
    parts, ranks = factored
    parts.masks["fc1.1.weight"][:, :100] = False
    study = toys.study(steps=30) | {"replicates": 1, "ranks": ranks}
    start, zeros = (
        {name: values[:1] for name, values in part.items()} for part in (parts.weights, parts.masks)
    )
    weights, masks, result = train(Trainer(study, toys.data(), tmp_path / "parts"), start=start, masks=zeros)
    assert {name: values.shape for name, values in weights.items()} == {
        name: values.shape for name, values in start.items()
    }
    assert not weights["fc1.1.weight"][:, :100].any()
    assert all(np.any(weights[name] != start[name]) for name in parts.masks)
    assert list(masks) == list(result["layer_density"]) == list(parts.masks)


def test_a_ticket_file_of_parts_is_read_back(factored):
    parts, ranks = factored
    weights, masks = ({n: v[0] for n, v in part.items()} for part in (parts.weights, parts.masks))
    metadata = METADATA | {"ranks": ranks}
    read, _, found = compact.loads(compact.dumps(weights, masks, metadata))
    assert all(np.array_equal(read[name], weights[name]) for name in weights)
    images = torch.randn(3, 1, 6, 6)
    with torch.no_grad():
        assert torch.equal(inference.build(read, found)(images), parts.model.eval()(images))


@pytest.mark.parametrize("ranks", [{"fc1": 37}, {"fc1": 0}, {"fc9": 1}, {"fc1": "x"}, {"fc\n1": 1}])
def test_a_ticket_file_with_ranks_that_do_not_fit_is_refused(factored, ranks):
    parts, _ = factored
    weights, masks = ({n: v[0] for n, v in part.items()} for part in (parts.weights, parts.masks))
    with pytest.raises(InputError, match="this ticket cannot be saved"):
        compact.dumps(weights, masks, METADATA | {"ranks": ranks})


def test_a_rank_of_a_study_that_is_larger_than_its_layer_is_refused():
    study = toys.study() | {"ranks": {"output": 4}}
    with pytest.raises(
        InputError, match=r"^rank 4 does not fit output, whose full rank is 3: give 1 to 3\.$"
    ):
        loading.build_for(study, (1, 6, 6), 3)
