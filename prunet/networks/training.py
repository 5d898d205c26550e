"""Training: one function for every network, from any start values, under any masks."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Generator
from torch.nn import functional
from torch.utils import deterministic
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.networks.batches import Split, centre, chunks, crop_flip, order
from prunet.networks.checkpoints import Checkpoint
from prunet.networks.gradients import Network
from prunet.networks.optimizers import OPTIMIZERS, learning_rate
from prunet.networks.vectors import Stack, packed
from prunet.pruning.masks import Weights

EVALUATION_BATCH = 500  # images; bounds the memory that evaluation takes

Settings = Mapping[str, Any]
Point = tuple[int, list[float], list[float]]  # step, and each network's validation loss and accuracy


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
    where = splits["train"][0].device
    parameters = {name: start[name].to(where) for name in network.parameters}
    everything = {name: torch.ones_like(tensor) for name, tensor in parameters.items()}
    vector, trained = packed(parameters, settings["channels_last"])
    survive = everything | {name: mask.to(where, torch.float32) for name, mask in masks.items()}
    mask, _ = packed(survive, settings["channels_last"])
    gradient, gradients = packed(everything, settings["channels_last"])
    # What is not trained (the running statistics of norms) goes along.
    weights = {name: tensor.to(where, copy=True) for name, tensor in start.items()} | trained
    update, memory = OPTIMIZERS[settings["optimizer"]]([vector], settings)
    vector.mul_(mask)
    dropout = (
        torch.cuda.default_generators[where.index or 0] if where.type == "cuda" else torch.default_generator
    )
    dropout.manual_seed(runs[0]["seeds"]["dropout"])  # the layers draw from the global generator
    augment = [Generator().manual_seed(run["seeds"]["augment"]) for run in runs]
    early = {name: tensor.clone() for name, tensor in weights.items()}
    remembered = (
        {f"weights/{name}": tensor for name, tensor in weights.items()}
        | {f"early/{name}": tensor for name, tensor in early.items()}
        | {f"optimizer/{number}": tensor for number, tensor in enumerate(memory)}
    )
    generators = {f"generator/{number}": generator for number, generator in enumerate([dropout, *augment])}

    def look(step: int) -> None:
        losses, accuracies = evaluate(network, weights, splits["val"], size)
        for number, (run, loss) in enumerate(zip(runs, losses, strict=True)):
            if not math.isfinite(loss):
                raise InputError(
                    f"replicate {run['replicate']}: the validation loss is {loss} at step {step}: "
                    "lower the learning rate."
                )
            if all(loss < point[1][number] for point in points):
                for name, tensor in early.items():
                    tensor[number].copy_(weights[name][number])
        points.append((step, losses, accuracies))

    points: list[Point] = []
    saved = checkpoint.load()
    if saved and "results" in saved[1]:
        return
    if saved:
        tensors, points = saved[0], saved[1]["points"]
        for name, tensor in remembered.items():
            tensor.copy_(tensors[name])
        for name, generator in generators.items():
            generator.set_state(tensors[name])
    else:
        look(0)
    done = points[-1][0]
    for step, (images, labels) in _batches(splits["train"], size, settings, runs, augment, done):
        network.gradients(weights, images, labels, gradients)
        update([gradient], learning_rate(step, settings))
        # After the step, not on the gradient: momentum and weight decay move weights whose gradient is zero.
        vector.mul_(mask)
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            look(step)
            if checkpoint.due():
                states = {name: generator.get_state() for name, generator in generators.items()}
                checkpoint.save(remembered | states, {"points": points})

    # The test split is read here alone, and chooses nothing.
    measured = [evaluate(network, stack, splits["test"], size) for stack in (early, weights)]
    results = [dict(run) | _result(points, measured, number) for number, run in enumerate(runs)]
    checkpoint.save(weights, {"results": results})


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


@torch.no_grad()
def evaluate(network: Network, stack: Stack, split: Split, size: int) -> tuple[list[float], list[float]]:
    """Return each network's mean cross-entropy (nats) and accuracy (0 to 1) over a split's centre crops."""
    loss = right = torch.zeros(len(next(iter(stack.values()))), dtype=torch.float64, device=split[1].device)
    for images, labels in chunks(split, EVALUATION_BATCH):
        logits = network.logits(stack, centre(images, size)).float()  # (N, B, classes)
        expected = labels.expand(logits.shape[:2])
        losses = functional.cross_entropy(logits.flatten(0, 1), expected.flatten(), reduction="none")
        loss = loss + losses.view(expected.shape).double().sum(1)
        right = right + (logits.argmax(-1) == expected).sum(1)
    count = len(split[1])
    return (loss / count).tolist(), (right / count).tolist()


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
