"""Masks of a round in the stage `prune`, by every criterion, on three kinds of networks."""

import numpy as np
import pytest
from click.testing import CliRunner

from prunet.base.errors import InputError
from prunet.base.seeds import derive
from prunet.cells import storage
from prunet.cells.masks import density
from prunet.config.params import stage_params
from prunet.pruning import queries
from prunet.pruning.criteria import CRITERIA, STEPS
from prunet.pruning.unit_criteria import UNIT_CRITERIA
from prunet.structure import shares as times
from prunet.training.trainer import Trainer
from stages import prune
from tests import toys
from tests.toy_pruning import pruned

RULES = stage_params(toys.params_values(prune={"rate": 0.25, "criterion_images": 20}))["toy/prune"]["prune"]
MODELS = {"lenet": ("lenet-300-100", None), "light": ("light-cnn-9", 16), "residual": ("resnet-20", 8)}


@pytest.fixture(scope="module")
def rounds(tmp_path_factory):
    """Return a function that makes the masks of a round; other random weights stand for trained ones."""
    folder = tmp_path_factory.mktemp("prune")
    data, trainers = toys.data(8), {}
    for name, (model, side) in MODELS.items():
        trainer = trainers[name] = Trainer(toys.study() | {"model": model, "input_size": side}, data, folder)
        storage.save_weights(folder / f"{name}.init", trainer.initial_weights("init"))
        weights = trainer.initial_weights("other")
        rng = np.random.default_rng(0)
        for layer, drawn in weights.items():
            if layer.endswith("weight") and drawn.ndim == 2:  # those of norms are all ones before training
                weights[layer] = rng.normal(size=drawn.shape).astype(np.float32)
        storage.save_cell(folder / name, weights, trainer.dense_masks(), {})

    def masks(name="lenet", number="01", init=None, **rules):
        paths = folder / (init or f"{name}.init"), folder / name
        return prune.next_masks(trainers[name], RULES | rules, number, *paths)

    masks.folder, masks.trainers = folder, trainers
    return masks


def shares(masks):
    return {name: density({name: mask}) for name, mask in masks.items()}


@pytest.mark.parametrize(
    ("network", "layer"), [("lenet", "fc2.weight"), ("residual", "block2_1.conv1.weight")]
)
def test_every_criterion_of_weights_removes_exactly_its_share_in_its_way(rounds, monkeypatch, network, layer):
    """Of linear layers, and of the convolutions of a network with norms."""
    monkeypatch.setitem(STEPS, "synflow", 3)  # the law holds for any number, and a hundred take long
    found = {}
    for criterion in CRITERIA:
        scope = "global" if criterion in ("lamp", "synflow") else "layer"
        masks = rounds(network, criterion=criterion, scope=scope)
        left, own = sum(mask.sum() for mask in masks.values()), shares(masks)
        assert left == sum(mask.size for mask in masks.values()) * 0.75
        assert scope == "global" or own == pytest.approx(dict.fromkeys(masks, 0.75))
        found[criterion] = masks[layer].tobytes()
        assert rounds(network, criterion=criterion, scope=scope)[layer].tobytes() == found[criterion]
    assert len(set(found.values())) == len(CRITERIA)


def test_a_pattern_holds_in_every_group_of_four_input_channels(rounds):
    masks = rounds("residual", pattern="2:4", rate=0.5, own={"conv1.weight": 0.0})
    assert masks.pop("conv1.weight").all()
    for mask in masks.values():
        assert (np.moveaxis(mask, 2, -1).reshape(-1, 4).sum(1) == 2).all()


def test_the_rules_are_those_of_the_library(rounds):
    weights, masks = storage.load_network(rounds.folder / "lenet")
    own = {"fc1.weight": 0, "fc2.weight": 0.5, "output.weight": 0.125}
    rules = {"criterion": "random", "scope": "layer", "own": own, "schedule": "one-shot"}
    seed = derive(0, "prune", "02")
    expected = pruned(weights, masks, **rules, rate=0.25, number=2, seed=seed)
    found = rounds(number="02", **rules)
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask)
    output = 1 - 0.875**2  # of 300 weights
    assert shares(found) == pytest.approx(
        {"fc1.weight": 1, "fc2.weight": 0.25, "output.weight": 1 - round(300 * output) / 300}
    )


@pytest.mark.parametrize("criterion", ["unit-l2", "unit-random", "unit-taylor", "unit-fisher"])
def test_units_of_fully_connected_layers_go_with_the_weights_that_read_them(rounds, criterion):
    masks = rounds(criterion=criterion)
    assert rows_left(masks) == {"fc1.weight": 0.75, "fc2.weight": 0.75, "output.weight": 1}
    assert shares(masks) == {"fc1.weight": 0.75, "fc2.weight": 0.75**2, "output.weight": 0.75}
    for before, name in (("fc1.weight", "fc2.weight"), ("fc2.weight", "output.weight")):
        assert (masks[name].any(1) == masks[before].any(2)).all()
        assert (masks[name] == masks[name].any(1)[:, None] & masks[name].any(2)[:, :, None]).all()


def rows_left(masks):
    return {name: mask.reshape(*mask.shape[:2], -1).any(2).mean() for name, mask in masks.items()}


@pytest.mark.parametrize("criterion", ["filter-l1", "filter-l2"])
def test_pairs_of_filters_go_together(rounds, criterion):
    masks = rounds("light", criterion=criterion)
    for name, mask in masks.items():
        rows = mask.reshape(*mask.shape[:2], -1).any(2)
        if mask.ndim == 5:
            half = rows.shape[1] // 2
            assert (rows[:, :half] == rows[:, half:]).all()
            assert rows.mean() == 0.75
        else:
            assert rows.all(), name
    with pytest.raises(InputError, match=r"filter-l. finds no units in fc1\.weight, fc2\.weight"):
        rounds(criterion=criterion)


def test_channels_of_a_residual_network_go_by_the_scales_of_its_norms(rounds):
    masks = rounds("residual", criterion="batchnorm-scale")
    weights, _ = storage.load_network(rounds.folder / "residual")
    inside = masks["block1_1.conv1.weight"].reshape(2, 16, -1)
    lowest = np.argsort(np.abs(weights["block1_1.norm1.weight"]))[:, :4]
    assert (np.sort(lowest) == [np.flatnonzero(~rows) for rows in inside.any(2)]).all()
    found = rows_left(masks)
    assert found["block3_3.conv2.weight"] == found["block2_1.conv1.weight"] == 0.75
    stream = [masks[f"block1_{number}.conv2.weight"].any((2, 3, 4)) for number in (1, 2, 3)]
    assert (stream[0] == stream[1]).all()
    assert (stream[0] == masks["conv1.weight"].any((2, 3, 4))).all()
    assert found[list(masks)[-1]] == 1
    with pytest.raises(InputError, match=r"features\.conv1\.conv\.weight.* have none"):
        rounds("light", criterion="batchnorm-scale")


@pytest.mark.parametrize("schedule", ["iterative", "one-shot"])
def test_a_target_is_reached_at_the_last_round_and_its_root_halfway(rounds, schedule):
    rules = {"criterion": "unit-l2", "schedule": schedule, "target": {"macs": 0.25}, "last": 2}
    for number, share in (("01", 0.5), ("02", 0.25)):
        first, second = (
            rows_left(rounds(number=number, **rules))[name] for name in ("fc1.weight", "fc2.weight")
        )
        found = (64 * 300 * first + 300 * 100 * first * second + 100 * 3 * second) / 49_500
        assert 0.98 * share < found <= share
        assert first == pytest.approx(second, abs=0.01)
    weights = rounds(number="02", **rules | {"criterion": "magnitude", "target": {"parameters": 0.25}})
    assert density(weights) == pytest.approx(0.25, abs=1e-4)


def test_time_and_bytes_are_targets_too(rounds, monkeypatch):
    monkeypatch.setattr(times, "time_share", lambda dense, smaller, inputs: size(smaller) / size(dense))
    rules = {"criterion": "unit-l2", "target": {"bytes": 0.9, "milliseconds": 0.4}, "last": 1}
    found = rows_left(rounds(**rules))
    assert found["fc1.weight"] == pytest.approx(0.55, abs=0.01)  # 64 x 300 x + 300 x 100 x^2 + 300 x


def size(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_a_target_is_spread_by_the_accuracy_that_each_layer_costs_alone(rounds, monkeypatch):
    scores = iter([1.0, 1.0, 1.0, 0.9, 0.5, 0.1, 1.0, 0.9, 0.5, 0.1, 1.0, 1.0, 1.0, 1.0])
    monkeypatch.setattr(Trainer, "evaluate", lambda *_: (None, next(scores)))
    masks = rounds(criterion="unit-l2", scope="sensitivity", target={"macs": 0.5}, last=1)
    left = {name: masks[name].any(2).sum(1).tolist() for name in ("fc1.weight", "fc2.weight")}
    # The layer that costs nothing goes first, to a quarter at most; 64 a + a b + 3 b is at most 24,750.
    assert left == {"fc1.weight": [149, 277], "fc2.weight": [100, 25]}


def test_channels_are_left_in_multiples(rounds):
    masks = rounds("residual", criterion="unit-l2", rate=0.35, round_to=8)
    left = {name: int(mask[0].reshape(len(mask[0]), -1).any(1).sum()) for name, mask in masks.items()}
    assert {left[f"block{number}_1.conv1.weight"] for number in (1, 2, 3)} == {16, 24, 48}
    assert all(count % 8 == 0 for count in left.values() if count != 3)  # classes


def test_round_0_removes_nothing_and_evidence_is_only_read_when_it_is_needed(rounds, monkeypatch):
    assert density(rounds(number="00", criterion="snip", init="gone")) == 1
    with monkeypatch.context() as patch:
        patch.setattr(queries, "model", None)
        for criterion in ("magnitude", "random"):
            rounds(criterion=criterion, init="gone")
        rounds(criterion="movement")
    for criterion in ("movement", "snip", "synflow"):
        with pytest.raises(InputError, match="gone does not exist"):
            rounds(criterion=criterion, init="gone")


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        (
            {"empty_layers": "refuse", "own": {"output.weight": 1}},
            r"would remove all weights of output\.weight",
        ),
        ({"criterion": "snip", "init": "light.init"}, "hold different networks; run the stages again"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(rounds, rules, says):
    with pytest.raises(InputError, match=says):
        rounds(**rules)


def test_networks_of_another_model_are_refused(rounds):
    trainer, folder = rounds.trainers["lenet"], rounds.folder
    with pytest.raises(InputError, match="to another model, input size or number of replicates"):
        prune.next_masks(trainer, RULES, "01", folder / "light.init", folder / "light")


def test_every_criterion_has_its_line_in_the_help():
    lines = CliRunner().invoke(prune.main, ["--help"]).output.splitlines()
    for name in CRITERIA | UNIT_CRITERIA:
        (line,) = [line for line in lines if line.strip().startswith(f"{name} ")]
        assert line.endswith(".")
