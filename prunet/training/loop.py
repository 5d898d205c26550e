"""The training loop: one function for every network, any start values and any masks."""

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import deterministic

from prunet.base.errors import InputError
from prunet.cells.masks import Masks, Weights
from prunet.training import augmentation, distillation, evaluation, mixing, rand_augment, ranks
from prunet.training.batches import Split, training_batches
from prunet.training.checkpoints import Checkpoint
from prunet.training.convergence import guesses, still_falling
from prunet.training.distillation import Teachers
from prunet.training.gradients import Network
from prunet.training.optimizers import learning_rate
from prunet.training.plan import TrainingPlan
from prunet.training.state import Point, TrainingState
from prunet.training.vectors import Stack


def device() -> torch.device:
    """Return the GPU where there is one, and ask PyTorch for the same bits from the same seed.

    PyTorch warns about operations that cannot give them on this device.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS needs it to be deterministic
    # use_deterministic_algorithms() would import PyTorch's compiler: two seconds a stage.
    torch.set_deterministic_debug_mode("warn")
    # Otherwise PyTorch fills every new tensor with NaN first: a tenth of a small network's step.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    _keep_freed_memory()
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _keep_freed_memory() -> None:
    """Have glibc keep the memory of freed tensors; elsewhere, do nothing.

    By default it returns large tensors to the system, which clears their pages when the next step allocates
    them again: 5% to 13% of a convolutional network's step.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(-3, 2**31 - 1)  # M_MMAP_THRESHOLD
        libc.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD


@torch.no_grad()
def train(
    network: Network,
    start: Stack,
    masks: Stack,
    splits: Mapping[str, Split],
    size: int,
    settings: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    checkpoint: Checkpoint,
    plan: TrainingPlan = TrainingPlan(),  # noqa: B008 (a named tuple cannot change)
    teachers: Teachers | None = None,
) -> Iterator[list[Point]]:
    """Train N networks from `start` under `masks` as one stack and measure them; yield evaluations.

    It trains as it is iterated, and yields the evaluations on the validation split as they come: after a kill
    those of the earlier run first, all at once.

    A run that was killed resumes from its last checkpoint, to the same bits; a finished run returns at once.
    `load_finished` reads the outcome.

    Args:
        network: computes logits and gradients of the stack.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}. Weights where it is False are exactly zero from the start and
            after every step. With a mask schedule they are the masks of the round, which change.
        splits: `train`, `val` and `test`: images (B, C, H, W) and labels (B,), on the device to train on.
        size: pixels a side that the model sees, at most H and W.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate`, for messages, and its `seeds`: of the data's `order`, of
            `augment` and of `dropout`, separate streams; with a mask schedule, of `masks` too.
        checkpoint: file of the state, and of the outcome.
        plan: the steps to train, their learning rates, mask updates and penalties.
        teachers: of the networks, by the setting `distill`.

    Raises:
        InputError: a validation loss is no longer finite.
    """
    saved = checkpoint.load()
    if saved and "results" in saved[1]:
        return
    state = TrainingState(network, start, masks, splits["train"][0].device, settings, runs, plan)
    if saved:
        state.restore(*saved)
    else:
        state.evaluate(splits, size)
        # Augmentation continues where it was at step `first`, as the data order does.
        augmentation.skip(plan.first, splits["train"][0].shape[-1], size, settings, state.augment)
    yield list(state.points)
    batches = training_batches(splits["train"], size, settings, runs, state.augment, state.step)
    if settings["augment"] == "rand-augment":
        assert plan.moments
        batches = rand_augment.distorted(batches, plan.moments, state.augment)
    if settings["mixup"] or settings["cutmix"]:
        classes = 1 + max(int(labels.max()) for _, labels in splits.values())
        batches = mixing.mixed(batches, classes, settings, state.augment)
    teach = teachers and distillation.logits(teachers, splits["train"], size, settings, runs, state.step)
    for step, (images, labels) in batches:
        rate = learning_rate(settings["steps"] if plan.last_rate else step, settings)
        state.take_step(images, labels, rate, teach(images) if teach else None)
        if step in state.update_steps:
            state.update_masks()
        if step == plan.keep:
            state.keep()
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            state.evaluate(splits, size)
            yield state.points[-1:]
        if ranks.own() == 0 and checkpoint.due():
            checkpoint.save(*state.checkpoint())

    # The test split is read here alone, and chooses nothing.
    stacks = (state.early, state.delivered)
    measured = [evaluation.evaluate(network, stack, splits["test"], size) for stack in stacks]
    labels = splits["test"][1]
    results = [dict(run) | _result(state, measured, labels, number) for number, run in enumerate(runs)]
    if ranks.own() == 0:
        checkpoint.save(state.outcome(), {"results": results})


class Finished(NamedTuple):
    """Outcome of a finished run.

    Attributes:
        weights: (N, *shape) after the last step; with the setting `ema`, their moving average.
        masks: {layer: (N, *shape)} after the last step.
        kept: weights (N, *shape) after the step that the plan keeps; else empty.
        results: for each network its run with `curve` (`step`, `val_loss`, `val_accuracy`: a list each),
            `early_stop_step` (the first step of the lowest validation loss; of networks that start dense,
            among those after their last mask update), `pruned_at` (where masks settle, the step after which
            the network got them), `still_falling` (of these losses; None: too few), `guesses` (on
            the test split), `explored` (`TrainingState.exploration`), and `early` and `final` (`test_loss`,
            `test_accuracy` there and at the end).
    """

    weights: Weights
    masks: Masks
    kept: Weights
    results: list[dict[str, Any]]


def load_finished(checkpoint: Checkpoint) -> Finished:
    """Read the outcome of a finished run.

    Raises:
        InputError: the file was removed or damaged after it was written.
    """
    saved = checkpoint.load()
    if not saved or "results" not in saved[1]:
        raise InputError(f"{checkpoint.path} was removed or damaged during training: run the stage again.")
    parts: dict[str, dict[str, Any]] = {"weights": {}, "masks": {}, "kept": {}}
    for key, tensor in saved[0].items():
        part, name = key.split("/", 1)
        parts[part][name] = tensor.numpy()
    return Finished(parts["weights"], parts["masks"], parts["kept"], saved[1]["results"])


def _result(state: TrainingState, measured: list[Any], labels: Tensor, number: int) -> dict[str, Any]:
    curve: dict[str, list[Any]] = {
        "step": [step for step, _, _ in state.points],
        "val_loss": [losses[number] for _, losses, _ in state.points],
        "val_accuracy": [accuracies[number] for _, _, accuracies in state.points],
    }
    early, final = (
        {"test_loss": losses[number], "test_accuracy": accuracies[number]} for losses, accuracies in measured
    )
    points = state.comparable_points(number)
    best = min(points, key=lambda point: point[1][number])
    falling = still_falling([step for step, _, _ in points], [losses[number] for _, losses, _ in points])
    largest_class = int(labels.bincount().max()) / len(labels)
    pruned_at = state.pruned_at(number)
    settled = {} if pruned_at is None else {"pruned_at": pruned_at}
    return settled | {
        "early_stop_step": best[0],
        "still_falling": falling,
        "guesses": guesses(early["test_accuracy"], len(labels), largest_class),
        "explored": state.exploration(number),
        "early": early,
        "final": final,
        "curve": curve,
    }
