"""Training: one function for every network, from any start values, under any masks."""

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch.utils import deterministic

from prunet.base.errors import InputError
from prunet.pruning.course import Course
from prunet.pruning.masks import Masks, Weights
from prunet.training import evaluation
from prunet.training.batches import Split, training_batches
from prunet.training.checkpoints import Checkpoint
from prunet.training.gradients import Network
from prunet.training.optimizers import learning_rate
from prunet.training.progress import Progress
from prunet.training.vectors import Stack

Settings = Mapping[str, Any]
WHOLE = Course()  # all steps, under the same masks


def device() -> torch.device:
    """Return the GPU where there is one, and ask PyTorch for the same bits from the same seed.

    An operation that cannot give them on this device warns.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    # As use_deterministic_algorithms(), which would import PyTorch's compiler: two seconds a stage.
    torch.set_deterministic_debug_mode("warn")
    # Otherwise PyTorch fills every new tensor with NaN first: a tenth of a small network's step.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@torch.no_grad()
def train(
    network: Network,
    start: Stack,
    masks: Stack,
    splits: Mapping[str, Split],
    size: int,
    settings: Settings,
    runs: Sequence[Mapping[str, Any]],
    checkpoint: Checkpoint,
    course: Course = WHOLE,
) -> None:
    """Train N networks from `start` under `masks` as one stack and measure them.

    A training that was killed goes on from its last checkpoint, one that is finished is not trained again;
    `load_finished` reads the outcome.

    Args:
        network: how logits and gradients of the stack are computed.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}. Weights where it is False are exactly zero from the start and
            after every step. With a course of changes they are the round's, which change or are arrived at.
        splits: `train`, `val` and `test`: images (B, C, H, W) and labels (B,), on the device to train on.
        size: pixels a side that the model sees, at most H and W.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate`, for messages, and its `seeds`: of the data's `order`, of
            `augment` and of `dropout`, separate streams; with changes, of `masks` too.
        checkpoint: where the training stands, and its outcome.
        course: which steps are trained, at which rates, and what happens between them.

    Raises:
        InputError: a validation loss is no longer finite, or the course does not fit the settings.
    """
    saved = checkpoint.load()
    if saved and "results" in saved[1]:
        return
    progress = Progress(network, start, masks, splits["train"][0].device, settings, runs, course)
    if saved:
        progress.restore(saved[0], saved[1]["points"])
        skipped = 0
    else:
        progress.look(course.first, splits["val"], size)
        skipped = course.first
    done = progress.points[-1][0] - skipped
    batches = training_batches(splits["train"], size, settings, runs, progress.augment, done)
    # What is skipped is drawn all the same: then augmentation goes on where it was at the step `first`.
    for step, (images, labels) in islice(batches, skipped, None):
        progress.step(
            images, labels, learning_rate(settings["steps"] if course.last_rate else step, settings)
        )
        if step in progress.changes:
            progress.change(step)
        if step == course.keep:
            progress.keep()
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            progress.look(step, splits["val"], size)
            if checkpoint.due():
                checkpoint.save(progress.tensors(), {"points": progress.points})

    # The test split is read here alone, and chooses nothing.
    stacks = (progress.early, progress.weights)
    measured = [evaluation.evaluate(network, stack, splits["test"], size) for stack in stacks]
    results = [dict(run) | _result(progress, measured, number) for number, run in enumerate(runs)]
    checkpoint.save(progress.outcome(), {"results": results})


class Finished(NamedTuple):
    """What a training left.

    Attributes:
        weights: (N, *shape) after the last step.
        masks: {layer: (N, *shape)} after the last step.
        kept: weights (N, *shape) after the step that the course keeps; empty if it keeps none.
        results: for each network its run with `curve` (`step`, `val_loss`, `val_accuracy`: a list each, from
            the course's first step to the last), `early_stop_step` (the step of the lowest validation loss,
            found afterwards; the first of several; of gradual pruning, among those after its last change),
            and `early` and `final` (`test_loss`, `test_accuracy` there and at the end).
    """

    weights: Weights
    masks: Masks
    kept: Weights
    results: list[dict[str, Any]]


def load_finished(checkpoint: Checkpoint) -> Finished:
    """Read what `train` left.

    Raises:
        InputError: the file was damaged after it was written.
    """
    saved = checkpoint.load()
    if not saved or "results" not in saved[1]:
        raise InputError(f"{checkpoint.path} was removed or damaged during the training: run it again.")
    parts: dict[str, dict[str, Any]] = {"weights": {}, "masks": {}, "kept": {}}
    for key, tensor in saved[0].items():
        part, name = key.split("/", 1)
        parts[part][name] = tensor.numpy()
    return Finished(parts["weights"], parts["masks"], parts["kept"], saved[1]["results"])


def _result(progress: Progress, measured: list[Any], number: int) -> dict[str, Any]:
    curve: dict[str, list[Any]] = {
        "step": [step for step, _, _ in progress.points],
        "val_loss": [losses[number] for _, losses, _ in progress.points],
        "val_accuracy": [accuracies[number] for _, _, accuracies in progress.points],
    }
    early, final = (
        {"test_loss": losses[number], "test_accuracy": accuracies[number]} for losses, accuracies in measured
    )
    best = min(progress.sparse_points(), key=lambda point: point[1][number])
    return {"early_stop_step": best[0], "early": early, "final": final, "curve": curve}
