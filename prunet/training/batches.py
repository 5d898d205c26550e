"""Images on the device: normalised once, then indexed and augmented a whole batch at a time.

Images that stay on disk are normalised when they are read, to the same numbers.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor
from tqdm import tqdm

from prunet.data.dataset import SPLITS
from prunet.data.image_files import Files
from prunet.training.augmentation import augmented
from prunet.training.pixels import (
    Moments,
    centre,
    normalised,
    prepared,
    scaled,
    scaled_side,
    seen_side,
    stored_size,
    train_moments,
)
from prunet.training.streams import AT_ONCE, Stream

Batch = tuple[Tensor, Tensor]  # images (..., C, H, W) float32 and labels (...) int64
Split = tuple[Tensor | Stream, Tensor]  # images (N, C, H, W) and labels (N,)


def to_device(
    data: dict[str, Any], input_size: int | None, augment: str, device: torch.device
) -> dict[str, Split]:
    """Put a dataset on the device, prepared, by split; images that stay on disk come when they are read."""
    stored = data["images"]
    labels = torch.from_numpy(data["labels"]).to(device)
    split = torch.from_numpy(data["split"]).to(device)
    side = scaled_side(stored_size(stored)[-1], input_size, augment)
    if isinstance(stored, Files):
        make = partial(prepared, side=side, mean=stored.mean, std=stored.std)
        chosen = [np.flatnonzero(data["split"] == number) for number in range(len(SPLITS))]
        return {
            name: (Stream(stored, chosen[number], make, side, device), labels[split == number])
            for number, name in enumerate(SPLITS)
        }
    images = torch.from_numpy(stored).to(device)
    resized = scaled(images, side)
    resized = normalised(resized, *train_moments(images, resized, split))
    return {name: (resized[split == number], labels[split == number]) for number, name in enumerate(SPLITS)}


def preparation(data: dict[str, Any], input_size: int | None, augment: str) -> dict[str, Any]:
    """Say how a dataset's images become what the model sees, in numbers that can travel with a network.

    Images are resized so that the model sees `input_size` pixels a side (None: as stored) of the centre, or
    of the random pieces, that `augment` keeps: with `crop-flip` to 9/8 of it, with `resized-crop-flip` to
    8/7. Then gray images get mean 0 and standard deviation 1 over the training split. Of colour images each
    channel gets them, over the pixels as they are stored.

    Returns:
        `stored` (pixels a side in the dataset), `side` (pixels that images are resized to), `shape` (C, H, W
        of the centre that the model sees), `mean` and `std` (of the training split's pixels, 0 to 255; of
        colour images a list of three).
    """
    channels, pixels = stored_size(data["images"])
    side = scaled_side(pixels, input_size, augment)
    if isinstance(data["images"], Files):
        mean: Moments = data["images"].mean
        std: Moments = data["images"].std
        shape: tuple[int, ...] = (side, side)
    else:
        images = torch.from_numpy(data["images"])
        resized = scaled(images, side)
        mean, std = train_moments(images, resized, torch.from_numpy(data["split"]))
        shape = resized.shape[-2:]
    return {
        "stored": pixels,
        "side": side,
        "shape": [channels, *(seen_side(length, augment) for length in shape)],
        "mean": mean,
        "std": std,
    }


def prepare(images: Tensor, how: dict[str, Any]) -> Tensor:
    """Make images (N, C, S, S) uint8 what the model sees, (N, C, H, W) float32, as in evaluation.

    Args:
        images: of the size that the dataset stores.
        how: from `preparation`.
    """
    return centre(prepared(images, how["side"], how["mean"], how["std"]), how["shape"][-1])


def input_shape(splits: dict[str, Split], augment: str) -> tuple[int, int, int]:
    """Return the (C, H, W) that the model sees."""
    _, channels, height, width = splits["train"][0].shape
    return channels, seen_side(height, augment), seen_side(width, augment)


def order(count: int, batch_size: int, steps: int, generator: torch.Generator) -> Tensor:
    """Return (steps, batch_size) int64 indices of images: one shuffled pass over the data after the other.

    Every batch is full, a batch may end one pass and begin the next, and each pass holds every image once.
    """
    passes = -(-steps * batch_size // count)
    drawn = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
    return drawn[: steps * batch_size].view(steps, batch_size)


def take(split: Split, chosen: Tensor) -> Batch:
    """Return the images (B, C, H, W) and labels (B,) of a split that indices (B,) choose, as they are."""
    images, labels = split
    if isinstance(images, Stream):
        ((pixels, found),) = images.read([chosen])
        return pixels, labels[found]
    chosen = chosen.to(labels.device)
    return images[chosen], labels[chosen]


def chunks(split: Split, size: int) -> Iterator[Batch]:
    """Yield all of a split in its order, at most `size` images at a time."""
    images, labels = split
    if isinstance(images, Stream):
        for pixels, found in images.read(torch.split(torch.arange(len(labels)), min(size, AT_ONCE))):
            yield pixels, labels[found]
    else:
        yield from zip(torch.split(images, size), torch.split(labels, size), strict=True)


def training_batches(
    split: Split,
    size: int,
    settings: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    augment: list[Generator],
    done: int,
) -> Iterator[tuple[int, Batch]]:
    """Yield every step after `done` with its augmented batch (N, B, ...), with a bar on a terminal.

    Augmentation draws from the generators `augment` as a batch is yielded, and not before.
    """
    steps, batch_size = settings["steps"], settings["batch_size"]
    drawn = torch.stack(
        [
            order(len(split[1]), batch_size, steps, Generator().manual_seed(run["seeds"]["order"]))
            for run in runs
        ],
        dim=1,
    )  # (steps, N, B)
    bar = tqdm(range(done + 1, steps + 1), disable=None, leave=False, unit="step")
    for step, (images, chosen, labels) in zip(bar, _fetched(split, drawn[done:]), strict=True):
        yield step, (augmented(images, chosen, size, settings["augment"], augment), labels)


def _fetched(split: Split, drawn: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield for each step of indices (steps, N, B) images, which of those are meant, and their labels."""
    images, labels = split
    if isinstance(images, Stream):
        places = torch.arange(drawn[0].numel(), device=labels.device).view(drawn.shape[1:])
        for pixels, found in images.read(drawn.flatten(1)):
            yield pixels, places, labels[found].view(places.shape)
    else:
        for chosen in drawn.to(labels.device):
            yield images, chosen, labels[chosen]
