import json
from pathlib import Path

import numpy as np
import pytest

from prunet.base.errors import InputError
from prunet.models.built_in import initial_weights
from prunet.pruning.course import Course
from prunet.pruning.masks import density
from prunet.training.cells import Study
from tests import toys


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Checkpoints go where the test is."""
    monkeypatch.chdir(tmp_path)


def study(replicates=2, model="lenet-300-100", input_size=None, side=6, **training):
    block = toys.block(**training) | {"replicates": replicates, "model": model, "input_size": input_size}
    return Study("toy", block, 0, toys.data(side), Path("unfinished"), 1000)


def test_a_replicate_does_not_depend_on_those_beside_it():
    results = {}
    for replicates in (1, 3):
        cell = study(replicates)
        cell.forget("dense")
        start = cell.initial_weights("init")
        results[replicates] = (start, cell.train("dense", start, cell.dense_masks(), ("init",)))
    for name in results[1][0]:
        np.testing.assert_array_equal(results[1][0][name][0], results[3][0][name][0])
        np.testing.assert_array_equal(results[1][1].weights[name][0], results[3][1].weights[name][0])
    alone, beside = (results[replicates][1].result["networks"] for replicates in (1, 3))
    assert alone[0] == beside[0]
    assert beside[0]["seeds"] != beside[1]["seeds"]


def test_new_random_values_differ_from_the_original_and_between_rounds():
    cell = study()
    drawn = [
        cell.initial_weights(*purpose)["fc1.weight"]
        for purpose in (("init",), ("random", "01"), ("random", "02"))
    ]
    assert len({values.tobytes() for values in drawn}) == 3
    np.testing.assert_array_equal(drawn[0], cell.initial_weights("init")["fc1.weight"])


def test_the_result_is_json_and_says_what_it_must():
    cell = study()
    masks = cell.dense_masks()
    masks["fc1.weight"][:, :150] = False
    weights, ends, result, kept = cell.train("dense", cell.initial_weights("init"), masks, ("init",))
    assert not weights["fc1.weight"][:, :150].any()
    assert list(ends) == list(masks)
    assert all(np.array_equal(ends[name], masks[name]) for name in masks)
    assert kept == {}
    assert json.loads(json.dumps(result)) == result
    assert result["layer_density"] == {"fc1.weight": 0.5, "fc2.weight": 1.0, "output.weight": 1.0}
    assert result["density"] == pytest.approx((150 * 36 + 30_000 + 300) / (300 * 36 + 30_000 + 300))
    assert result["epochs_per_step"] == 8 / 60
    assert [set(run["seeds"]) for run in result["networks"]] == 2 * [{"init", "order", "augment", "dropout"}]
    seeds = [seed for run in result["networks"] for seed in run["seeds"].values()]
    assert len(set(seeds)) == len(seeds)


def test_the_recorded_seed_draws_the_start_values_again():
    cell = study(1)
    start = cell.initial_weights("random", "03")
    result = cell.train("x", start, cell.dense_masks(), ("random", "03")).result
    drawn = initial_weights(cell.model, result["networks"][0]["seeds"]["init"], "glorot")
    np.testing.assert_array_equal(drawn["fc1.weight"].numpy(), start["fc1.weight"][0])


def test_a_training_that_diverges_is_named():
    cell = study(optimizer="sgd", lr=1e9)
    with pytest.raises(InputError, match=r"study toy, dense: replicate [01]: the validation loss is"):
        cell.train("dense", cell.initial_weights("init"), cell.dense_masks(), ("init",))


def test_light_cnn_trains_on_crops_in_both_layouts_and_precisions():
    for training in ({"channels_last": True}, {"dtype": "bfloat16"}):
        cell = study(1, "light-cnn-9", 16, side=18, augment="crop-flip", steps=2, batch_size=4, **training)
        start = cell.initial_weights("init")
        weights, _, result, _ = cell.train("dense", start, cell.dense_masks(), ("init",))
        assert {name: values.shape for name, values in weights.items()} == {
            name: values.shape for name, values in start.items()
        }
        assert all(values.dtype == np.float32 for values in weights.values())
        assert result["networks"][0]["curve"]["step"] == [0, 2]


def test_a_finished_cell_forgets_its_checkpoints_and_an_unfinished_one_keeps_them():
    cell = study()
    cell.train("original/03", cell.initial_weights("init"), cell.dense_masks(), ("init",))
    kept = sorted(path.name for path in Path("unfinished/toy/original/03").iterdir())
    assert kept == ["0-0.safetensors", "1-1.safetensors"]
    cell.forget("original/03")
    assert not list(Path("unfinished/toy/original/03").iterdir())


def test_a_checkpoint_of_other_parameters_is_never_resumed(capsys):
    """Whatever changed: settings, start values, masks or data."""
    start, masks = study().initial_weights("init"), study().dense_masks()
    study().train("dense", start, masks, ("init",))
    thinner = {name: mask.copy() for name, mask in masks.items()}
    thinner["fc1.weight"][:, 0, 0] = False
    other = study()
    other.data_key = "of other data"
    for cell, values, survivors in (
        (study(lr=0.02), start, masks),
        (study(), study().initial_weights("random", "01"), masks),
        (study(), start, thinner),
        (other, start, masks),
    ):
        fresh = Path("unfinished/toy/dense/0-0.safetensors").read_bytes()
        cell.train("dense", values, survivors, ("init",))
        assert Path("unfinished/toy/dense/0-0.safetensors").read_bytes() != fresh
        study().train("dense", start, masks, ("init",))
        assert Path("unfinished/toy/dense/0-0.safetensors").read_bytes() == fresh


def test_several_draws_share_their_replicates_data_order_and_differ_in_start_values():
    cell = study()
    start = cell.initial_weights("random", "01", reinits=3)
    masks = {name: np.repeat(mask, 3, axis=0) for name, mask in cell.dense_masks().items()}
    result = cell.train("random/01", start, masks, ("random", "01")).result
    runs = result["networks"]
    assert [run["replicate"] for run in runs] == [0, 0, 0, 1, 1, 1]
    assert len({run["seeds"]["init"] for run in runs}) == 6
    assert len({run["seeds"]["order"] for run in runs}) == 2
    single = study().initial_weights("random", "01")
    np.testing.assert_array_equal(single["fc1.weight"][1], start["fc1.weight"][3])


def test_more_replicates_than_memory_holds_are_refused_before_they_are_drawn():
    with pytest.raises(
        InputError,
        match=r"toy: 10000000 networks need about [\d.]+ GB .* lower studies\.toy\.replicates or reinits",
    ):
        study(10_000_000).initial_weights("init")


def test_a_diverging_replicate_keeps_what_others_finished(capfd):
    cell = study(3)
    start = cell.initial_weights("init")
    start["fc1.weight"][2] = np.inf
    with pytest.raises(
        InputError, match=r"^study toy, random/04: replicate 2: the validation loss is nan at step 0"
    ):
        cell.train("random/04", start, cell.dense_masks(), ("init",))
    assert Path("unfinished/toy/random/04/0-0.safetensors").exists()


def test_values_of_another_model_are_refused():
    cell, other = study(), study(side=5)
    with pytest.raises(InputError, match="of another model, input size or number of replicates"):
        cell.train("x", other.initial_weights("init"), cell.dense_masks(), ("init",))
    with pytest.raises(InputError, match="of another model"):
        cell.train("dense", cell.initial_weights("init"), other.dense_masks(), ("init",))
    with pytest.raises(InputError, match="number of replicates"):
        cell.train("x", study(replicates=3).initial_weights("init"), cell.dense_masks(), ("init",))


@pytest.mark.parametrize("how", ["gradual", "rigl"])
@pytest.mark.parametrize(
    ("model", "training"), [("lenet-300-100", {}), ("lenet-5", {"channels_last": True, "steps": 10})]
)
def test_a_cell_whose_masks_change_has_their_last_densities_and_the_seeds_of_its_changes(
    model, training, how
):
    cell = study(2, model, side=16, **training)
    masks = {
        name: np.random.default_rng(0).random(mask.shape) < 0.4 for name, mask in cell.dense_masks().items()
    }
    changes = {"how": how, "whole": [], "begin": 0.0, "end": 0.75, "every": 2, "drop": 0.3}
    start = cell.initial_weights("init")
    trained = cell.train(f"{how}/01", start, masks, ("init",), Course(changes=changes))
    assert trained.result["density"] == density(masks) == density(trained.masks)
    assert trained.result["layer_density"] == {name: density({name: mask}) for name, mask in masks.items()}
    seeds = [network["seeds"]["masks"] for network in trained.result["networks"]]
    assert len(set(seeds)) == 2
    for name, mask in trained.masks.items():
        assert not np.array_equal(mask, masks[name])
        assert not trained.weights[name][~mask].any()


@pytest.mark.parametrize(
    ("model", "layer", "go_along"),
    [
        ("lenet-300-100", "fc1.weight", {"fc1.bias"}),
        ("resnet-20", "block1_1.conv1.weight", {"block1_1.norm1.weight", "block1_1.norm1.bias"}),
    ],
)
def test_biases_and_norms_of_removed_units_are_zero_and_not_counted(model, layer, go_along):
    cell = study(1, model, side=8, optimizer="sgd", lr=0.01, steps=3, eval_every=3)
    masks, start = cell.dense_masks(), cell.initial_weights("init")
    masks[layer][:, ::2] = False
    for name in go_along:
        start[name] += 1
    weights, ends, result, _ = cell.train("x", start, masks, ("init",), whole_units=True)
    units = {name: values for name, values in weights.items() if values.ndim == 2}  # one number a unit
    assert {name for name, values in units.items() if not values[:, ::2].any()} >= go_along
    assert all(weights[name][:, 1::2].all() for name in go_along)
    assert list(ends) == list(result["layer_density"]) == list(masks)
    assert result["density"] == density(masks)
    untied = cell.train("y", start, masks, ("init",)).weights
    assert all(untied[name].all() for name in go_along)


def test_rewinding_keeps_the_running_statistics_of_norms():
    """From step 2 of the dense training, through steps 3 and 4, to the weights and statistics of its end."""
    settings = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.01, "steps": 4, "eval_every": 2}
    cell = study(1, "resnet-20", side=8, **settings)
    masks = cell.dense_masks()
    dense = cell.train("dense", cell.initial_weights("init"), masks, ("init",), Course(keep=2))
    again = cell.train("rewind/00", dense.kept, masks, ("init",), Course(first=2))
    assert any("running" in name for name in dense.kept)
    for name, values in dense.weights.items():
        np.testing.assert_array_equal(values, again.weights[name])
    assert again.result["networks"][0]["curve"]["step"] == [2, 4]
    assert again.kept == {}


def test_network_slimming_makes_scales_of_norms_zero_and_nothing_else():
    cell = study(1, "resnet-20", side=8, steps=10, scale_l1=2.2, lr=0.05, weight_decay=0.0)
    start, masks = cell.initial_weights("init"), cell.dense_masks()
    plain = cell.train("plain", start, masks, ("init",)).weights
    slim = cell.train("slim", start, masks, ("init",), cell.dense_course()).weights
    norms = {name for name in slim if "norm" in name and name.endswith(".weight")}
    assert len(norms) == 19
    assert all(plain[name].all() for name in norms)
    assert sum(int((slim[name] == 0).sum()) for name in norms) > 50
    assert all(slim[name].all() for name in set(masks) - norms)


def test_a_checkpoint_of_another_course_is_never_resumed():
    cell = study(1)
    start, masks = cell.initial_weights("init"), cell.dense_masks()
    whole = cell.train("x", start, masks, ("init",))
    later = cell.train("x", start, masks, ("init",), Course(first=10))
    assert later.result["networks"][0]["curve"]["step"] == [10, 20, 30]
    assert not np.array_equal(whole.weights["fc1.weight"], later.weights["fc1.weight"])


def test_changes_that_do_not_fit_are_refused_with_the_cells_name():
    cell = study(1, optimizer="sgd", momentum=0.0)
    changes = {"how": "sparse-momentum", "whole": [], "begin": 0.0, "end": 0.75, "every": 5, "drop": 0.3}
    with pytest.raises(
        InputError, match=r"^study toy, sparse-momentum/01: sparse-momentum needs training\.mom"
    ):
        cell.train(
            "sparse-momentum/01",
            cell.initial_weights("init"),
            cell.dense_masks(),
            ("init",),
            Course(changes=changes),
        )
