"""Networks that stay dense until their masks settle."""

from importlib import import_module

import numpy as np
import pytest
import torch

from prunet.training import settling
from prunet.training.plan import MaskSchedule, TrainingPlan
from prunet.training.settling import Settling
from tests.toy_training import Toy, cut_off, same

UPDATE = import_module("prunet.schemes.early-bird").update


def shifted(by, size=100, survivors=20):
    """Return the mask of a layer in which `by` of 20 survivors are others than without a shift."""
    mask = np.zeros(size, bool)
    mask[by : by + survivors] = True
    return {"a": mask}


@pytest.mark.parametrize(
    ("shifts", "expected"),
    [
        ([0] * 6, 6),  # five distances of zero
        ([0, 1, 2, 3, 4, 5], 6),  # of 1 of 20 survivors each: below a tenth
        ([0, 0, 0, 2, 2, 2, 2, 2, 2], 9),  # one distance of a tenth: the five in a row start anew
        ([0, 2, 4, 6, 8, 10, 12, 14], None),
    ],
)
def test_masks_have_settled_after_five_small_distances_in_a_row(shifts, expected):
    found = Settling({"a": torch.ones(1, 10, 10)}, 1)
    verdicts = [found.settled(0, shifted(by)) for by in shifts]
    assert verdicts.count(True) == (expected is not None)
    assert expected is None or verdicts.index(True) + 1 == expected


def test_the_networks_of_a_stack_settle_each_for_itself():
    found = Settling({"a": torch.ones(2, 10, 10)}, 2)
    for update in range(6):
        verdicts = [found.settled(0, shifted(0)), found.settled(1, shifted(3 * update))]
    assert verdicts == [True, False]


def early_bird(tmp_path, count=2, **settings):
    """Return a toy whose masks may settle after steps 2, 4, ... and 22 of 30."""
    run = Toy(tmp_path, count, eval_every=1, steps=30, **settings)
    schedule = MaskSchedule(UPDATE, 0.0, 0.75, 2, 0.3, whole=(), dense_first=True, settling=True)
    run.plan = TrainingPlan(mask_schedule=schedule)
    for one in run.runs:
        one["seeds"] = one["seeds"] | {"masks": 0}
    return run


def test_weights_that_do_not_move_are_pruned_by_magnitude_at_the_sixth_update(tmp_path):
    run = early_bird(tmp_path, lr=1e-9)
    done = run.finish()
    assert [result["pruned_at"] for result in done.results] == [12, 12]
    for name, mask in done.masks.items():
        for number in range(2):
            wanted = int(run.masks[name][number].sum())
            start = run.start[name][number].abs().flatten()
            expected = torch.zeros(start.numel(), dtype=torch.bool)
            expected[start.argsort(descending=True)[:wanted]] = True
            assert np.array_equal(mask[number].ravel(), expected.numpy())


def test_until_it_is_pruned_a_network_is_the_dense_one_and_the_early_stop_comes_later(tmp_path):
    run = early_bird(tmp_path, 1, lr=0.002)
    (result,) = run.finish().results
    run.plan = TrainingPlan()
    run.masks = {name: torch.ones_like(mask) for name, mask in run.masks.items()}
    (dense,) = run.finish().results
    pruned_at, losses = result["pruned_at"], result["curve"]["val_loss"]
    assert 12 <= pruned_at < 22
    assert losses[:pruned_at] == dense["curve"]["val_loss"][:pruned_at]
    assert losses[pruned_at] != dense["curve"]["val_loss"][pruned_at]
    assert result["early_stop_step"] == pruned_at + int(np.argmin(losses[pruned_at:]))
    assert "pruned_at" not in dense


def test_masks_that_never_settle_are_those_of_the_last_update(tmp_path, monkeypatch):
    monkeypatch.setattr(settling, "NEAR", 0)
    run = early_bird(tmp_path)
    done = run.finish()
    assert [result["pruned_at"] for result in done.results] == [22, 22]
    for name, mask in run.masks.items():
        assert done.masks[name].sum(axis=(1, 2)).tolist() == mask.sum((1, 2)).tolist()


@pytest.mark.parametrize("steps", [9, 13, 21])
def test_a_run_that_was_killed_settles_at_the_same_step_with_the_same_bits(tmp_path, steps):
    run = early_bird(tmp_path, lr=0.002)
    assert same(run.finish(), cut_off(run, steps))
