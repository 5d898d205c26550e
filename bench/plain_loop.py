"""The same training as public lottery-ticket code bases write it: a DataLoader that decodes and transforms
every image anew, torch.optim, and masks multiplied in layer by layer."""

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
    """Images (N, 1, 28, 28) uint8 and labels, given out as torchvision's MNIST does."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images[:, 0], labels
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
        )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return an image, normalised, and its label."""
        return self.transform(Image.fromarray(self.images[index].numpy())), int(self.labels[index])


def endless(digits: Digits, batch_size: int) -> Iterator[Any]:
    """Yield shuffled batches, one pass over the data after the other."""
    loader = DataLoader(digits, batch_size, shuffle=True)
    return itertools.chain.from_iterable(itertools.repeat(loader))


def train(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    batches: Iterator[Any],
    settings: Mapping[str, Any],
    look: Callable[[], None],
) -> list[float]:
    """Train under masks {parameter: mask}, `look` every `eval_every` steps; return when steps began (s)."""
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["lr"])
    parameters = dict(model.named_parameters())
    began = []
    for name, mask in masks.items():
        parameters[name].data.mul_(mask)
    for step in range(1, settings["steps"] + 1):
        began.append(time.perf_counter())
        images, labels = next(batches)
        optimizer.zero_grad()
        functional.cross_entropy(model(images), labels).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        for name, mask in masks.items():
            parameters[name].data.mul_(mask)
        if step % settings["eval_every"] == 0 or step == settings["steps"]:
            look()
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
    """Return milliseconds a step, without looks. Run it apart: it trains `model` itself."""
    batches = endless(splits["train"], settings["batch_size"])
    return machine.step_ms(train(model, masks, batches, settings, look=lambda: None), warm_up)


def round_ms(
    model: nn.Module,
    masks: Mapping[str, Tensor],
    splits: Mapping[str, Digits],
    settings: Mapping[str, Any],
) -> float:
    """Return milliseconds a step of a whole training: a look at step 0 and every `eval_every` steps, a copy
    of the weights at the lowest validation loss, and two tests. Run it apart."""
    best, early = float("inf"), model.state_dict()

    def look() -> None:
        nonlocal best, early
        loss, _ = evaluate(model, splits["val"])
        if loss < best:
            best, early = loss, copy.deepcopy(model.state_dict())

    batches = endless(splits["train"], settings["batch_size"])
    # A first step imports PyTorch's compiler: two seconds that are not the loop's.
    train(copy.deepcopy(model), masks, batches, {**settings, "steps": 1}, look=lambda: None)
    began = time.perf_counter()
    look()
    train(model, masks, batches, settings, look)
    for state in (model.state_dict(), early):
        model.load_state_dict(state)
        evaluate(model, splits["test"])
    return 1000 * (time.perf_counter() - began) / int(settings["steps"])
