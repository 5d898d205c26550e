"""Training: one function for every network, from any start values, under any masks."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Generator
from torch.utils import deterministic
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.networks import evaluation
from prunet.networks.batches import Split, crop_flip, order
from prunet.networks.checkpoints import Checkpoint
from prunet.networks.gradients import Network
from prunet.networks.optimizers import learning_rate
from prunet.networks.progress import Point, Progress
from prunet.networks.vectors import Stack
from prunet.pruning.masks import Weights

Settings = Mapping[str, Any]


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
) -> None:
    """Train N networks from `start` under `masks` as one stack and measure them.

    A training that was killed goes on from its last checkpoint, one that is finished is not trained again;
    `load_finished` reads the outcome.

    Args:
        network: how logits and gradients of the stack are computed.
        start: start values (N, *shape) of every tensor.
        masks: {layer: (N, *shape) bool}. Weights where it is False are exactly zero from the start and
            after every step.
        splits: `train`, `val` and `test`: images (B, C, H, W) and labels (B,), on the device to train on.
        size: pixels a side that the model sees, at most H and W.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `replicate`, for messages, and its `seeds`: of the data's `order`, of
            `augment` and of `dropout`, separate streams.
        checkpoint: where the training stands, and its outcome.

    Raises:
        InputError: a validation loss is no longer finite.
    """
    saved = checkpoint.load()
    if saved and "results" in saved[1]:
        return
    progress = Progress(network, start, masks, splits["train"][0].device, settings, runs)
    if saved:
        progress.restore(saved[0], saved[1]["points"])
    else:
        progress.look(0, splits["val"], size)
    done = progress.points[-1][0]
    for step, (images, labels) in _batches(splits["train"], size, settings, runs, progress.augment, done):
        progress.step(images, labels, learning_rate(step, settings))
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            progress.look(step, splits["val"], size)
            if checkpoint.due():
                checkpoint.save(progress.tensors(), {"points": progress.points})

    # The test split is read here alone, and chooses nothing.
    stacks = (progress.early, progress.weights)
    measured = [evaluation.evaluate(network, stack, splits["test"], size) for stack in stacks]
    results = [dict(run) | _result(progress.points, measured, number) for number, run in enumerate(runs)]
    checkpoint.save(progress.weights, {"results": results})


def load_finished(checkpoint: Checkpoint) -> tuple[Weights, list[dict[str, Any]]]:
    """Read what `train` left: the weights (N, *shape) after the last step, and a result for each network.

    A result is the network's run with `curve` (`step`, `val_loss`, `val_accuracy`: a list each, from step 0
    to the last), `early_stop_step` (the step of the lowest validation loss, found afterwards; the first of
    several), and `early` and `final` (`test_loss`, `test_accuracy` there and at the end).

    Raises:
        InputError: the file was damaged after it was written.
    """
    saved = checkpoint.load()
    if not saved or "results" not in saved[1]:
        raise InputError(f"{checkpoint.path} was removed or damaged during the training: run it again.")
    return {name: tensor.numpy() for name, tensor in saved[0].items()}, saved[1]["results"]


def _result(points: list[Point], measured: list[Any], number: int) -> dict[str, Any]:
    curve: dict[str, list[Any]] = {
        "step": [step for step, _, _ in points],
        "val_loss": [losses[number] for _, losses, _ in points],
        "val_accuracy": [accuracies[number] for _, _, accuracies in points],
    }
    early, final = (
        {"test_loss": losses[number], "test_accuracy": accuracies[number]} for losses, accuracies in measured
    )
    best = curve["val_loss"].index(min(curve["val_loss"]))
    return {"early_stop_step": curve["step"][best], "early": early, "final": final, "curve": curve}


def _batches(
    split: Split,
    size: int,
    settings: Settings,
    runs: Sequence[Mapping[str, Any]],
    augment: list[Generator],
    done: int,
) -> Iterator[tuple[int, Split]]:
    """Yield every step after `done` with its augmented batch (N, B, ...), with a bar on a terminal."""
    images, labels = split
    steps, batch_size = settings["steps"], settings["batch_size"]
    drawn = torch.stack(
        [
            order(len(labels), batch_size, steps, Generator().manual_seed(run["seeds"]["order"]))
            for run in runs
        ],
        dim=1,
    ).to(labels.device)  # (steps, N, B)
    for step in tqdm(range(done + 1, steps + 1), disable=None, leave=False, unit="step"):
        chosen = drawn[step - 1]
        if settings["augment"] == "crop-flip":
            pieces = [crop_flip(images, mine, size, rng) for mine, rng in zip(chosen, augment, strict=True)]
            batch = torch.stack(pieces)
        else:
            batch = images.index_select(0, chosen.flatten()).view(*chosen.shape, *images.shape[1:])
        yield step, (batch, labels[chosen])
