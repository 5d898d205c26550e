"""The same training as in public lottery-ticket code: a DataLoader that decodes and transforms every image
again, torch.optim, and masks that are multiplied in layer by layer."""

import copy
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from bench import machine

EVALUATION_BATCH = 1000  # images


class Digits(Dataset[tuple[Tensor, int]]):
    """Images (N, 1, 28, 28) uint8 and labels, in the form of torchvision's MNIST."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images[:, 0], labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return a normalised image and its label."""
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


def endless(digits: Digits, batch_size: int) -> Iterator[Any]:
    """Yield shuffled batches forever, pass after pass."""
    loader = DataLoader(digits, batch_size, shuffle=True)
    return itertools.chain.from_iterable(itertools.repeat(loader))


def train(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    batches: Iterator[Any],
    settings: Mapping[str, Any],
    evaluated: Callable[[], None],
) -> list[float]:
    """Train under masks {parameter: mask}; return the start times (s) of the steps.

    Calls `evaluated` every `eval_every` steps.
    """
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["lr"])
    parameters = dict(model.named_parameters())
    began = []
    for name, mask in masks.items():
        parameters[name].data.mul_(mask)
    for step in range(1, settings["steps"] + 1):
        began.append(time.perf_counter())
        images, labels = next(batches)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
        for name, mask in masks.items():
            parameters[name].data.mul_(mask)
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            evaluated()
    return began


@torch.no_grad()
def evaluate(model: nn.Module, digits: Digits) -> tuple[float, float]:
    """Return mean cross-entropy and accuracy."""
    loss, right = 0.0, 0
    for images, labels in DataLoader(digits, EVALUATION_BATCH):
        logits = model(images)
        loss += functional.cross_entropy(logits, labels, reduction="sum").item()
        right += int((logits.argmax(1) == labels).sum())
    return loss / len(digits), right / len(digits)


def step_ms(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    splits: Mapping[str, Digits],
    settings: Mapping[str, Any],
    warm_up: int,
) -> float:
    """Return milliseconds per step without evaluations. Run it in its own process: it changes `model`."""
    batches = endless(splits["train"], settings["batch_size"])
    return machine.step_ms(train(model, masks, batches, settings, lambda: None), warm_up)


def round_ms(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    splits: Mapping[str, Digits],
    settings: Mapping[str, Any],
) -> float:
    """Return milliseconds per step of a whole training run. Run it in its own process: it changes `model`.

    A run evaluates at step 0 and every `eval_every` steps, copies the weights at the lowest validation loss,
    and tests twice.
    """
    best, early = float("inf"), model.state_dict()

    def evaluated() -> None:
        nonlocal best, early
        loss, _ = evaluate(model, splits["val"])
        if loss < best:
            best, early = loss, copy.deepcopy(model.state_dict())

    batches = endless(splits["train"], settings["batch_size"])
    # The first step imports PyTorch's compiler, which takes two seconds.
    train(copy.deepcopy(model), masks, batches, {**settings, "steps": 1}, lambda: None)
    began = time.perf_counter()
    evaluated()
    train(model, masks, batches, settings, evaluated)
    for state in (model.state_dict(), early):
        model.load_state_dict(state)
        evaluate(model, splits["test"])
    return 1000 * (time.perf_counter() - began) / int(settings["steps"])
