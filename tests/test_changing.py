"""Trainings whose masks change."""

import math

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.pruning.course import Course
from prunet.training.dynamics import DYNAMICS
from prunet.training.progress import Progress
from tests.toy_training import CPU, Toy, cut_off

CONSTANT = [how for how in DYNAMICS if how != "gradual"]


def sparse(tmp_path, how, count=2, **settings):
    """A toy whose masks change after steps 5, 10, 15 and 20 of 30."""
    cell = Toy(tmp_path, count, **settings)
    changes = {"how": how, "whole": [], "begin": 0.0, "end": 0.75, "every": 5, "drop": 0.4}
    cell.course = Course(changes=changes)
    for number, run in enumerate(cell.runs):
        run["seeds"] = run["seeds"] | {"masks": 100 + number}
    return cell


def progress(cell):
    return Progress(cell.network, cell.start, cell.masks, CPU, cell.settings, cell.runs, cell.course)


def walk(cell, steps):
    """Yield a training after each of its steps, and before and after each change of its masks."""
    state = progress(cell)
    images, labels = cell.splits["train"]
    rng = torch.Generator().manual_seed(0)
    for step in range(1, steps + 1):
        chosen = torch.randint(0, len(labels), (len(cell.runs), 8), generator=rng)
        state.step(images[chosen], labels[chosen], 0.01)
        before = {name: mask.bool() for name, mask in state.masks.items()}
        if step in state.changes:
            state.change(step)
        yield step, state, before


def counts(masks):
    return {name: mask.flatten(1).sum(1).tolist() for name, mask in masks.items()}


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("how", DYNAMICS)
def test_weights_outside_the_masks_are_zero_after_every_step(tmp_path, how, optimizer):
    cell = sparse(tmp_path, how, optimizer=optimizer)
    for _, state, _ in walk(cell, 25):
        for name, mask in state.masks.items():
            assert not state.weights[name][mask == 0].any()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("how", CONSTANT)
def test_what_grows_starts_at_zero_and_so_does_its_memory(tmp_path, how, optimizer):
    grew = 0
    for step, state, before in walk(sparse(tmp_path, how, optimizer=optimizer), 20):
        for name, mask in state.masks.items():
            grown = mask.bool() & ~before[name]
            assert step % 5 == 0 or not grown.any()
            grew += int(grown.sum())
            stayed = mask.bool() & before[name]
            assert not state.weights[name][grown].any()
            for memory in state._memories:
                assert not memory[name][grown].any()
                assert memory[name][stayed].any()
    assert grew > 100


@pytest.mark.parametrize("how", CONSTANT)
def test_sparse_training_never_changes_its_number_of_weights(tmp_path, how):
    cell = sparse(tmp_path, how)
    given = counts(cell.masks)
    for _, state, _ in walk(cell, 20):
        now = counts(state.masks)
        if how == "sparse-momentum":  # moves weights between layers, but in all has as many
            assert np.sum(list(now.values()), 0).tolist() == np.sum(list(given.values()), 0).tolist()
        else:
            assert now == given


def test_gradual_pruning_begins_dense_and_ends_with_every_layers_number_of_the_round(tmp_path):
    cell = sparse(tmp_path, "gradual")
    ends = counts(cell.masks)
    seen = [counts(progress(cell).masks), *(counts(state.masks) for _, state, _ in walk(cell, 20))]
    for name, mask in cell.masks.items():
        size, (end, other) = mask[0].numel(), ends[name]
        assert end != other  # the replicates' numbers differ
        for step in range(21):
            done = step // 5 * 5 / 20
            expected = [math.floor(last + (size - last) * (1 - done) ** 3 + 0.5) for last in (end, other)]
            assert seen[step][name] == expected


@pytest.mark.parametrize("how", DYNAMICS)
def test_the_outcome_has_the_final_masks(tmp_path, how):
    cell = sparse(tmp_path, how)
    finished = cell.finish()
    total = sum(int(mask.sum()) for mask in cell.masks.values())
    assert sum(int(mask.sum()) for mask in finished.masks.values()) == total
    for name, mask in finished.masks.items():
        assert mask.dtype == bool
        assert not finished.weights[name][~mask].any()
        assert not np.array_equal(mask, cell.masks[name].numpy())


@pytest.mark.parametrize("saves", [1, 2, 3])
@pytest.mark.parametrize("how", DYNAMICS)
def test_a_changing_training_that_was_cut_off_ends_with_the_same_bits(tmp_path, how, saves):
    cell = sparse(tmp_path, how, eval_every=7)
    whole = cell.finish()
    resumed = cut_off(cell, saves)
    assert resumed.results == whole.results
    assert all(np.array_equal(whole.weights[name], resumed.weights[name]) for name in whole.weights)
    assert all(np.array_equal(whole.masks[name], resumed.masks[name]) for name in whole.masks)


def test_random_growth_follows_its_own_seed(tmp_path):
    first = sparse(tmp_path, "set")
    other = sparse(tmp_path, "set")
    for run in other.runs:
        run["seeds"]["masks"] += 50
    assert not np.array_equal(first.finish().masks["fc1.weight"], other.finish().masks["fc1.weight"])


def test_the_early_stop_of_gradual_pruning_is_of_a_network_of_the_rounds_density(tmp_path):
    """A high rate of decay makes the first looks, at the dense network, the best."""
    cell = sparse(tmp_path, "gradual", 1, eval_every=1, lr=0.05, weight_decay=3.0, steps=40)
    _, (result,) = cell.train()
    losses = result["curve"]["val_loss"]
    assert min(losses[:30]) < min(losses[30:])  # the last change follows step 30
    assert result["early_stop_step"] == 30 + int(np.argmin(losses[30:]))


def part(cell, number):
    """One network of a cell, alone."""
    row = slice(number, number + 1)
    cell.start = {name: values[row] for name, values in cell.start.items()}
    cell.masks = {name: mask[row] for name, mask in cell.masks.items()}
    cell.runs = cell.runs[row]
    return cell


@pytest.mark.parametrize("how", DYNAMICS)
def test_masks_of_a_stack_change_as_those_of_its_networks_alone(tmp_path, how):
    *_, (_, together, _) = walk(sparse(tmp_path, how), 9)
    alone = [progress(part(sparse(tmp_path, how), number)) for number in range(2)]
    for number, state in enumerate(alone):
        for mine, theirs in zip(stacks_of(state), stacks_of(together), strict=True):
            for name in mine:
                mine[name].copy_(theirs[name][number : number + 1])
        state.change(10)
    together.change(10)
    for number, state in enumerate(alone):
        for mine, theirs in zip(stacks_of(state), stacks_of(together), strict=True):
            assert all(torch.equal(mine[name][0], theirs[name][number]) for name in mine)


def stacks_of(state):
    return [state.masks, state.weights, state._gradients, *state._memories]


def test_a_training_that_diverges_stops_at_its_next_change(tmp_path):
    cell = sparse(tmp_path, "rigl", optimizer="sgd", lr=1e9)
    with pytest.raises(
        InputError,
        match=r"^replicate [01]: weights or gradients are no longer finite at step 5: lower the learning",
    ):
        cell.train()


def test_changes_that_do_not_fit_the_training_are_refused(tmp_path):
    cell = sparse(tmp_path, "rigl", steps=5)
    with pytest.raises(InputError, match=r"dynamic\.every is 5, and begin and end are steps 0 and 4 of 5"):
        cell.train()


@pytest.mark.parametrize("how", CONSTANT)
def test_a_layer_that_is_whole_stays_whole_and_gives_nothing_away(tmp_path, how):
    cell = sparse(tmp_path, how)
    cell.masks["fc2.weight"] = torch.ones_like(cell.masks["fc2.weight"])
    cell.course = Course(changes={**cell.course.changes, "whole": ["fc2.weight"]})
    changed = 0
    for _, state, before in walk(cell, 20):
        assert state.masks["fc2.weight"].all()
        assert sum(counts(state.masks)["fc1.weight"]) + sum(counts(state.masks)["output.weight"]) == sum(
            counts(cell.masks)["fc1.weight"]
        ) + sum(counts(cell.masks)["output.weight"])
        changed += not torch.equal(state.masks["fc1.weight"].bool(), before["fc1.weight"])
    assert changed
