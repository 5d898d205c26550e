"""Training: one function for every network, from any start values, under any masks."""

import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from prunet.base.errors import InputError
from prunet.networks.batches import Split, centre, chunks, crop_flip, order
from prunet.networks.optimizers import OPTIMIZERS, learning_rate

EVALUATION_BATCH = 500  # images; bounds the memory that evaluation takes

State = dict[str, Tensor]
Settings = Mapping[str, Any]


def device() -> torch.device:
    """Return the GPU where there is one, and ask PyTorch for the same bits from the same seed.

    An operation that cannot give them on this device warns.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    # As use_deterministic_algorithms(), which would import PyTorch's compiler: two seconds a stage.
    torch.set_deterministic_debug_mode("warn")
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(
    model: nn.Module,
    start: State,
    masks: State,
    splits: Mapping[str, Split],
    size: int,
    settings: Settings,
    seeds: Mapping[str, int],
) -> tuple[State, dict[str, Any]]:
    """Train `model` from `start` under `masks` and measure it.

    Args:
        model: on the device of `splits`; its weights are overwritten.
        start: start values of every tensor of the model's state.
        masks: {layer: bool tensor}. Weights where it is False are exactly zero from the start and after
            every step.
        splits: `train`, `val` and `test`: images (N, C, H, W) and labels (N,).
        size: pixels a side that the model sees, at most H and W.
        settings: the study's `training` block of params.yaml.
        seeds: of the data's `order`, of `augment` and of `dropout`: separate streams.

    Returns:
        The weights after the last step, on the CPU, and the result: `curve` (`step`, `val_loss`,
        `val_accuracy`: a list each, from step 0 to the last), `early_stop_step` (the step of the lowest
        validation loss, found afterwards; the first of several), and `early` and `final` (`test_loss`,
        `test_accuracy` there and at the end). The test split is read at these two steps alone, and chooses
        nothing.

    Raises:
        InputError: the validation loss is no longer finite.
    """
    model.load_state_dict(start)
    parameters: list[Tensor] = list(model.parameters())
    masked = [
        (model.get_parameter(name), mask.to(parameters[0].device, parameters[0].dtype))
        for name, mask in masks.items()
    ]
    update = OPTIMIZERS[settings["optimizer"]](parameters, settings)
    torch.manual_seed(seeds["dropout"])  # dropout draws from the global generator, and nothing else does
    _zero_pruned(masked)

    def look(step: int) -> tuple[int, float, float]:
        loss, accuracy = evaluate(model, splits["val"], size, settings)
        if not math.isfinite(loss):
            raise InputError(f"the validation loss is {loss} at step {step}: lower the learning rate.")
        return step, loss, accuracy

    points = [look(0)]
    best_loss, early_stop_step, early_state = points[0][1], 0, _copy(model)
    for step, (images, labels) in enumerate(_batches(splits["train"], size, settings, seeds), start=1):
        model.train()
        with _precision(images.device, settings):
            loss = functional.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            update(list(gradients), learning_rate(step, settings))
            _zero_pruned(masked)
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            points.append(look(step))
            if points[-1][1] < best_loss:
                best_loss, early_stop_step, early_state = points[-1][1], step, _copy(model)

    final_state = _copy(model)
    final = evaluate(model, splits["test"], size, settings)
    model.load_state_dict(early_state)
    early = evaluate(model, splits["test"], size, settings)
    result = {
        "early_stop_step": early_stop_step,
        "early": dict(zip(("test_loss", "test_accuracy"), early, strict=True)),
        "final": dict(zip(("test_loss", "test_accuracy"), final, strict=True)),
        "curve": dict(
            zip(("step", "val_loss", "val_accuracy"), map(list, zip(*points, strict=True)), strict=True)
        ),
    }
    return {name: tensor.cpu().contiguous() for name, tensor in final_state.items()}, result


@torch.no_grad()
def evaluate(model: nn.Module, split: Split, size: int, settings: Settings) -> tuple[float, float]:
    """Return mean cross-entropy (nats) and accuracy (0 to 1) over all of a split, on centre crops."""
    model.eval()
    loss, right = 0.0, 0
    for images, labels in chunks(split, EVALUATION_BATCH):
        with _precision(images.device, settings):
            logits = model(centre(images, size))
        loss += functional.cross_entropy(logits.float(), labels, reduction="sum").item()
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(split[1]), right / len(split[1])


def _batches(split: Split, size: int, settings: Settings, seeds: Mapping[str, int]) -> Iterator[Split]:
    """Yield the augmented batches of a training, with a bar on a terminal."""
    images, labels = split
    augment = torch.Generator().manual_seed(seeds["augment"])
    shuffle = torch.Generator().manual_seed(seeds["order"])
    drawn = order(len(labels), settings["batch_size"], settings["steps"], shuffle).to(labels.device)
    for chosen in tqdm(drawn, disable=None, leave=False, unit="step"):
        if settings["augment"] == "crop-flip":
            yield crop_flip(images, chosen, size, augment), labels[chosen]
        else:
            yield images[chosen], labels[chosen]


def _precision(where: torch.device, settings: Settings) -> torch.autocast:
    return torch.autocast(where.type, torch.bfloat16, enabled=settings["dtype"] == "bfloat16")


def _zero_pruned(masked: list[tuple[nn.Parameter, Tensor]]) -> None:
    # After the step, not on the gradient: momentum and weight decay move weights whose gradient is zero.
    with torch.no_grad():
        for weight, mask in masked:
            weight.mul_(mask)


def _copy(model: nn.Module) -> State:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
