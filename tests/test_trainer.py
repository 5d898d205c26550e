"""Training of a cell: its networks, masks and result."""

from importlib import import_module

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.cells import storage
from prunet.cells.masks import density
from prunet.models.built_in import MODELS, initial_weights
from prunet.training import rand_augment
from prunet.training.cells import processor
from prunet.training.pixels import pixel_values
from prunet.training.plan import MaskSchedule, TrainingPlan
from prunet.training.trainer import Trainer
from tests import toys
from tests.test_models import Odd
from tests.toy_cells import alone, cell, equal, maker, outcome, train


@pytest.fixture
def make(tmp_path):
    return maker(tmp_path)


@alone
def test_a_replicate_does_not_depend_on_those_beside_it(make):
    alone, beside = make(1), make(3)
    first, others = alone.initial_weights("init"), beside.initial_weights("init")
    weights, _, result = train(alone, "a/01")
    others_weights, _, others_result = train(beside, "b/01")
    for name in weights:
        np.testing.assert_array_equal(first[name][0], others[name][0])
        np.testing.assert_array_equal(weights[name][0], others_weights[name][0])
    assert result["networks"][0] == others_result["networks"][0]
    assert others_result["networks"][0]["seeds"] != others_result["networks"][1]["seeds"]


def test_new_random_values_differ_from_the_original_and_between_rounds(make):
    trainer = make()
    purposes = (("init",), ("random", "01"), ("random", "02"))
    drawn = [trainer.initial_weights(*purpose)["fc1.weight"] for purpose in purposes]
    assert len({values.tobytes() for values in drawn}) == 3
    np.testing.assert_array_equal(drawn[0], trainer.initial_weights("init")["fc1.weight"])


def test_the_result_is_complete(make, tmp_path):
    trainer = make()
    masks = trainer.dense_masks()
    masks["fc1.weight"][:, :150] = False
    weights, ends, result = train(trainer, masks=masks)
    assert equal(ends, masks)
    assert not weights["fc1.weight"][:, :150].any()
    assert result["layer_density"] == {"fc1.weight": 0.5, "fc2.weight": 1.0, "output.weight": 1.0}
    assert result["density"] == pytest.approx((150 * 36 + 30_000 + 300) / (300 * 36 + 30_000 + 300))
    assert result["epochs_per_step"] == 8 / 60
    assert (result["key"], result["device"], result["threads"]) == ("key", trainer.device.type, 1)
    assert (result["processor"], result["torch"]) == (processor(), torch.__version__)
    assert [set(run["seeds"]) for run in result["networks"]] == 2 * [{"init", "order", "augment", "dropout"}]
    seeds = [seed for run in result["networks"] for seed in run["seeds"].values()]
    assert len(set(seeds)) == len(seeds)
    written = sorted(path.name for path in (tmp_path / "checkpoints" / "toy").rglob("*.*"))
    assert written == ["live.csv", "masks.safetensors", "result.json", "weights.safetensors"]


def test_the_recorded_seed_draws_the_start_values_again(make):
    trainer = make(1)
    start = trainer.initial_weights("random", "03")
    result = train(trainer, start=start, drawn_for=("random", "03"))[2]
    drawn = initial_weights(trainer.build, result["networks"][0]["seeds"]["init"], "glorot")
    np.testing.assert_array_equal(drawn["fc1.weight"].numpy(), start["fc1.weight"][0])


def test_several_draws_share_the_data_order_of_their_replicate_and_differ_in_start_values(make):
    trainer = make(steps=1)
    start = trainer.initial_weights("random", "01", reinits=3)
    masks = {name: np.repeat(mask, 3, axis=0) for name, mask in trainer.dense_masks().items()}
    runs = train(trainer, start=start, masks=masks, drawn_for=("random", "01"))[2]["networks"]
    assert [run["replicate"] for run in runs] == [0, 0, 0, 1, 1, 1]
    assert len({run["seeds"]["init"] for run in runs}) == 6
    assert len({run["seeds"]["order"] for run in runs}) == 2
    single = trainer.initial_weights("random", "01")
    np.testing.assert_array_equal(single["fc1.weight"][1], start["fc1.weight"][3])


@pytest.mark.parametrize("training", [{"channels_last": True}, {"dtype": "bfloat16"}])
def test_light_cnn_trains_on_crops_in_both_layouts_and_precisions(make, training):
    settings = {"augment": "crop-flip", "steps": 2, "batch_size": 4}
    trainer = make(1, "light-cnn-9", 18, 16, **settings, **training)
    start = trainer.initial_weights("init")
    weights, _, result = train(trainer, start=start)
    assert list(weights) == list(start)
    assert all(weights[name].shape == values.shape for name, values in start.items())
    assert all(values.dtype == np.float32 for values in weights.values())
    assert result["networks"][0]["curve"]["step"] == [0, 2]


@pytest.mark.parametrize("name", ["gradual", "rigl"])
@pytest.mark.parametrize(
    ("model", "training"), [("lenet-300-100", {}), ("lenet-5", {"channels_last": True, "steps": 10})]
)
def test_a_cell_with_a_mask_schedule_has_its_last_masks_and_the_seeds_of_its_updates(
    make, model, training, name
):
    trainer = make(2, model, side=16, **training)
    rng = np.random.default_rng(0)
    masks = {layer: rng.random(mask.shape) < 0.4 for layer, mask in trainer.dense_masks().items()}
    update = import_module(f"prunet.schemes.{name}").update
    schedule = MaskSchedule(update, 0.0, 0.75, 2, 0.3, whole=(), dense_first=name == "gradual")
    weights, ends, result = train(trainer, masks=masks, plan=TrainingPlan(mask_schedule=schedule))
    assert result["density"] == density(masks) == density(ends)
    assert result["layer_density"] == {layer: density({layer: mask}) for layer, mask in masks.items()}
    assert len({network["seeds"]["masks"] for network in result["networks"]}) == 2
    for layer, mask in ends.items():
        assert not np.array_equal(mask, masks[layer])
        assert not weights[layer][~mask].any()


@pytest.mark.parametrize(
    ("model", "layer", "dependents"),
    [
        ("lenet-300-100", "fc1.weight", {"fc1.bias"}),
        ("resnet-20", "block1_1.conv1.weight", {"block1_1.norm1.weight", "block1_1.norm1.bias"}),
    ],
)
def test_biases_and_norms_of_removed_units_are_zero_and_not_counted(make, model, layer, dependents):
    trainer = make(1, model, side=8, optimizer="sgd", lr=0.01, steps=3, eval_every=3)
    masks, start = trainer.dense_masks(), trainer.initial_weights("init")
    masks[layer][:, ::2] = False
    for name in dependents:
        start[name] += 1
    weights, ends, result = train(trainer, "a/01", start, masks, whole_units=True)
    one_for_each_unit = {name: values for name, values in weights.items() if values.ndim == 2}
    assert {name for name, values in one_for_each_unit.items() if not values[:, ::2].any()} >= dependents
    assert all(weights[name][:, 1::2].all() for name in dependents)
    assert list(ends) == list(result["layer_density"]) == list(masks)
    assert result["density"] == density(masks)
    free = train(trainer, "b/01", start, masks)[0]
    assert all(free[name].all() for name in dependents)


def test_rewinding_restores_the_running_statistics_of_norms(make):
    """From step 2 of the dense training, through steps 3 and 4, to the weights and statistics of its end."""
    settings = {"optimizer": "sgd", "momentum": 0.0, "lr": 0.01, "steps": 4, "eval_every": 2}
    trainer = make(1, "resnet-20", side=8, **settings)
    (folder,) = trainer.train([cell(trainer, "dense", plan=TrainingPlan(keep=2))])
    kept = storage.load_weights(folder / "kept.safetensors")
    assert any("running" in name for name in kept)
    again, _, result = train(trainer, "rewind/00", kept, plan=TrainingPlan(first=2))
    assert equal(again, outcome(folder)[0])
    assert result["networks"][0]["curve"]["step"] == [2, 4]


@pytest.mark.field
def test_the_dense_plan_penalises_the_units_that_can_go_and_no_classes(make, monkeypatch):
    """Not a table of the same shape, and in any order in which a model registers its layers."""
    monkeypatch.setitem(MODELS, "odd", lambda shape, classes: Odd())
    plan = make(1, "odd", side=4, group_lasso=0.5, scale_l1=0.25).dense_plan(keep=3)
    assert (plan.keep, plan.group_lasso, plan.scale_l1) == (3, 0.5, 0.25)
    # A norm ties what attention returns to the embeddings; its heads are free.
    assert [list(group) for group in plan.units] == [["attention.in_proj_weight"], ["conv.weight"]]
    chain = make(1, group_lasso=0.5).dense_plan().units
    assert [{name: rows.tolist() for name, rows in group.items()} for group in chain] == [
        {"fc1.weight": list(range(300))},
        {"fc2.weight": list(range(100))},
    ]
    tied = make(1, "resnet-20", side=8, group_lasso=0.5).dense_plan().units[0]
    assert len(tied) == 10
    assert make(1).dense_plan().units == ()


def test_group_lasso_empties_whole_channels_of_a_residual_stream(make):
    trainer = make(1, "resnet-20", side=8, group_lasso=0.6, lr=0.02, steps=6, eval_every=2)
    weights = train(trainer, "dense", plan=trainer.dense_plan())[0]
    stream = trainer.dense_plan().units[0]
    alive = {name: weights[name][0].reshape(len(rows), -1).any(1) for name, rows in stream.items()}
    shared = [own[:16] for own in alive.values()]
    assert all(np.array_equal(own, shared[0]) for own in shared)
    assert 0 < shared[0].sum() < 16


def test_the_head_that_is_trained_first_is_the_layer_that_runs_last(make):
    trained = train(make(2, steps=3, freeze=3), "a/01")[0]
    start = make(2).initial_weights("init")
    moved = [name for name, values in trained.items() if not np.array_equal(values, start[name])]
    assert moved == ["output.weight", "output.bias"]


def test_images_are_distorted_by_the_moments_that_they_were_normalised_by(make, monkeypatch):
    seen, distorted = [], rand_augment.distorted

    def watch(batches, moments, generators):
        seen.append(moments)
        return distorted(batches, moments, generators)

    monkeypatch.setattr(rand_augment, "distorted", watch)
    trainer = make(1, side=16, augment="rand-augment", steps=2)
    trained, plain = (
        train(one, f"{one.settings['augment']}/01")[0]["fc1.weight"]
        for one in (trainer, make(1, side=16, augment="resized-crop-flip", steps=2))
    )
    assert not np.array_equal(trained, plain)
    images, stored = trainer.splits["train"][0], toys.data(16)
    values = torch.from_numpy(stored["images"][stored["split"] == 0])
    assert torch.equal(pixel_values(images, *seen[0]), values)


def test_network_slimming_makes_scales_of_norms_zero_and_nothing_else(make):
    trainer = make(1, "resnet-20", side=8, steps=10, lr=0.05, weight_decay=0.0)
    plain = train(trainer, "a/01")[0]
    slim = train(trainer, "b/01", plan=TrainingPlan(scale_l1=2.2))[0]
    norms = {name for name in slim if "norm" in name and name.endswith(".weight")}
    assert len(norms) == 19
    assert all(plain[name].all() for name in norms)
    assert sum(int((slim[name] == 0).sum()) for name in norms) > 50
    assert all(slim[name].all() for name in set(trainer.dense_masks()) - norms)


def test_more_replicates_than_memory_holds_are_refused_before_they_are_drawn(make):
    message = r"toy: 10000000 networks need about [\d.]+ GB .* lower studies\.toy\.replicates or reinits"
    with pytest.raises(InputError, match=message):
        make(10_000_000).initial_weights("init")


def fill_memory(*_):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def test_a_full_gpu_ends_a_training_with_what_to_lower(make):
    trainer = make(1)
    trainer.network = trainer.network._replace(gradients=fill_memory)
    message = (
        r"^study toy, original/01: the GPU's memory does not hold the training of a network on batches of 8 "
        r"images: lower studies\.toy\.training\.batch_size, or set dtype bfloat16\.$"
    )
    with pytest.raises(InputError, match=message):
        train(trainer)


def test_images_that_a_gpu_does_not_hold_are_refused(make, monkeypatch):
    monkeypatch.setattr("prunet.training.batches.to_device", fill_memory)
    with pytest.raises(
        InputError, match=r"images do not fit into the GPU's memory: lower studies\.toy\.input"
    ):
        make()


@pytest.mark.field
def test_the_threads_of_a_training_are_not_those_of_the_stage(make):
    """Criteria with gradients and the sweep use all cores, though each training uses one."""
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    try:
        train(make(1, steps=1))
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)


def test_rewinding_may_count_epochs_and_must_stay_within_the_training(tmp_path):
    """60 images and 8 a step: 2.667 epochs are 20 steps."""
    study = toys.study() | {"rewind": "2.667 epochs"}
    assert Trainer(study, toys.data(), tmp_path).rewind == 20
    with pytest.raises(InputError, match=r"studies\.toy\.rewind is 4 epochs, step 30 with 7\.5 steps an ep"):
        Trainer(study | {"rewind": "4 epochs"}, toys.data(), tmp_path)
