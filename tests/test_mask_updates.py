"""Training runs whose masks change."""

import math
from importlib import import_module

import numpy as np
import pytest
import torch

from prunet.base.errors import InputError
from prunet.training.mask_updates import update_steps
from prunet.training.plan import MaskSchedule, TrainingPlan
from prunet.training.state import TrainingState
from tests.toy_training import CPU, Toy, cut_off, same

UPDATES = {
    name: import_module(f"prunet.schemes.{name}").update
    for name in ("gradual", "set", "rigl", "sparse-momentum")
}
CONSTANT = [name for name in UPDATES if name != "gradual"]


def sparse(tmp_path, name, count=2, **settings):
    """Return a toy whose masks change after steps 5, 10, 15 and 20 of 30."""
    run = Toy(tmp_path, count, **settings)
    schedule = MaskSchedule(UPDATES[name], 0.0, 0.75, 5, 0.4, whole=(), dense_first=name == "gradual")
    run.plan = TrainingPlan(mask_schedule=schedule)
    for number, one in enumerate(run.runs):
        one["seeds"] = one["seeds"] | {"masks": 100 + number}
    return run


def state_of(run):
    return TrainingState(run.network, run.start, run.masks, CPU, run.settings, run.runs, run.plan)


def walk(run, steps):
    """Yield the state after each step and its mask update, with the masks before the update."""
    state = state_of(run)
    images, labels = run.splits["train"]
    rng = torch.Generator().manual_seed(0)
    for step in range(1, steps + 1):
        chosen = torch.randint(0, len(labels), (len(run.runs), 8), generator=rng)
        state.take_step(images[chosen], labels[chosen], 0.01)
        before = {name: mask.bool() for name, mask in state.masks.items()}
        if step in state.update_steps:
            state.update_masks()
        yield step, state, before


def counts(masks):
    return {name: mask.flatten(1).sum(1).tolist() for name, mask in masks.items()}


@pytest.mark.parametrize("settings", [{"optimizer": "adam"}, {"optimizer": "sgd"}, {"ema": 0.9}])
@pytest.mark.parametrize("name", UPDATES)
def test_weights_outside_the_masks_are_zero_after_every_step(tmp_path, name, settings):
    for _, state, _ in walk(sparse(tmp_path, name, **settings), 25):
        for layer, mask in state.masks.items():
            assert not state.weights[layer][mask == 0].any()
            assert not state.delivered[layer][mask == 0].any()


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", CONSTANT)
def test_grown_weights_start_at_zero_and_so_does_their_optimizer_state(tmp_path, name, optimizer):
    grew = 0
    for step, state, before in walk(sparse(tmp_path, name, optimizer=optimizer), 20):
        for layer, mask in state.masks.items():
            grown = mask.bool() & ~before[layer]
            assert step % 5 == 0 or not grown.any()
            grew += int(grown.sum())
            stayed = mask.bool() & before[layer]
            assert not state.weights[layer][grown].any()
            for memory in state._memories:
                assert not memory[layer][grown].any()
                assert memory[layer][stayed].any()
    assert grew > 100


@pytest.mark.parametrize("name", CONSTANT)
def test_sparse_training_never_changes_its_number_of_weights(tmp_path, name):
    run = sparse(tmp_path, name)
    given = counts(run.masks)
    for _, state, _ in walk(run, 20):
        now = counts(state.masks)
        if name == "sparse-momentum":  # moves weights between layers
            assert np.sum(list(now.values()), 0).tolist() == np.sum(list(given.values()), 0).tolist()
        else:
            assert now == given


def test_gradual_pruning_starts_dense_and_ends_with_the_rounds_number_in_every_layer(tmp_path):
    run = sparse(tmp_path, "gradual")
    ends = counts(run.masks)
    seen = [counts(state_of(run).masks), *(counts(state.masks) for _, state, _ in walk(run, 20))]
    for layer, mask in run.masks.items():
        size, (end, other) = mask[0].numel(), ends[layer]
        assert end != other  # the replicates' numbers differ
        for step in range(21):
            progress = step // 5 * 5 / 20
            expected = [math.floor(last + (size - last) * (1 - progress) ** 3 + 0.5) for last in (end, other)]
            assert seen[step][layer] == expected


@pytest.mark.parametrize("name", UPDATES)
def test_the_exploration_is_the_share_of_the_weights_that_were_ever_in_the_masks(tmp_path, name):
    run = sparse(tmp_path, name)
    ever = {layer: mask.bool().clone() for layer, mask in state_of(run).masks.items()}
    shares = []
    for _, state, _ in walk(run, 20):
        for layer, mask in state.masks.items():
            ever[layer] |= mask.bool()
        flat = torch.cat([mask.flatten(1) for mask in ever.values()], 1).double()
        assert [state.exploration(number) for number in (0, 1)] == pytest.approx(flat.mean(1).tolist())
        shares.append(state.exploration(0))
    assert shares[-1] == 1 if name == "gradual" else shares[0] < shares[9] < shares[-1] < 1


def test_masks_that_stay_explore_nothing(tmp_path):
    assert state_of(Toy(tmp_path, 2)).exploration(0) is None


@pytest.mark.parametrize("steps", [4, 17])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("name", UPDATES)
def test_the_outcome_has_the_last_masks_to_the_same_bits_if_the_run_was_killed(
    tmp_path, name, optimizer, steps
):
    run = sparse(tmp_path, name, eval_every=1000, optimizer=optimizer)
    whole, resumed = run.finish(), cut_off(run, steps)
    total = sum(int(mask.sum()) for mask in run.masks.values())
    assert sum(int(mask.sum()) for mask in whole.masks.values()) == total
    for layer, mask in whole.masks.items():
        assert mask.dtype == bool
        assert not whole.weights[layer][~mask].any()
        assert not np.array_equal(mask, run.masks[layer].numpy())
    assert same(resumed, whole)


def test_random_growth_follows_its_own_seed(tmp_path):
    first = sparse(tmp_path, "set")
    other = sparse(tmp_path, "set")
    for one in other.runs:
        one["seeds"]["masks"] += 50
    assert not np.array_equal(first.finish().masks["fc1.weight"], other.finish().masks["fc1.weight"])


def test_the_early_stop_of_gradual_pruning_is_at_the_rounds_density(tmp_path):
    """High weight decay makes the first evaluations, of the dense network, the best."""
    run = sparse(tmp_path, "gradual", 1, eval_every=1, lr=0.05, weight_decay=3.0, steps=40)
    _, (result,) = run.train()
    losses = result["curve"]["val_loss"]
    assert min(losses[:30]) < min(losses[30:])  # the last update follows step 30
    assert result["early_stop_step"] == 30 + int(np.argmin(losses[30:]))


@pytest.mark.parametrize("name", UPDATES)
def test_masks_of_a_stack_change_as_those_of_its_networks_alone(tmp_path, name):
    *_, (_, together, _) = walk(sparse(tmp_path, name), 10)
    alone = [state_of(sparse(tmp_path, name).only(number)) for number in range(2)]
    for number, state in enumerate(alone):
        state.step = 10
        for mine, theirs in zip(stacks_of(state), stacks_of(together), strict=True):
            for layer in mine:
                mine[layer].copy_(theirs[layer][number : number + 1])
        state.update_masks()
    together.update_masks()
    for number, state in enumerate(alone):
        for mine, theirs in zip(stacks_of(state), stacks_of(together), strict=True):
            assert all(torch.equal(mine[layer][0], theirs[layer][number]) for layer in mine)


def stacks_of(state):
    return [state.masks, state.weights, state._gradients, *state._memories]


def test_a_run_that_diverges_stops_at_its_next_update(tmp_path):
    run = sparse(tmp_path, "rigl", optimizer="sgd", lr=1e9)
    message = r"^replicate [01]: weights or gradients are no longer finite at step 5: lower the learning"
    with pytest.raises(InputError, match=message):
        run.train()


@pytest.mark.parametrize("name", CONSTANT)
def test_a_whole_layer_stays_whole_and_gives_no_weights_to_others(tmp_path, name):
    run = sparse(tmp_path, name)
    run.masks["fc2.weight"] = torch.ones_like(run.masks["fc2.weight"])
    schedule = run.plan.mask_schedule._replace(whole=("fc2.weight",))
    run.plan = run.plan._replace(mask_schedule=schedule)
    given = counts(run.masks)
    changed = 0
    for _, state, before in walk(run, 20):
        now = counts(state.masks)
        assert state.masks["fc2.weight"].all()
        for number in range(2):
            assert sum(now[layer][number] for layer in now) == sum(given[layer][number] for layer in given)
        changed += not torch.equal(state.masks["fc1.weight"].bool(), before["fc1.weight"])
    assert changed


@pytest.mark.parametrize(
    ("begin", "end", "every", "expected"),
    [
        (0.1, 0.75, 40, [20, 60, 100, 140]),
        (0.5, 0.75, 50, [100, 150]),
        (0.0, 0.75, 75, [0, 75, 150]),
        (0.0025, 0.0125, 1, [1, 2, 3]),  # of 200 steps 0.5 and 2.5: halves are rounded up
    ],
)
def test_masks_change_from_begin_to_end(begin, end, every, expected):
    assert list(update_steps(begin, end, every, 200)) == expected
