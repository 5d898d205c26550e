"""Splits of a data set on the training device, and batches of them.

Images in memory are normalised once; images on disk are normalised as they are read, to the same bits.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice, tee
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from prunet.data.images.dataset import SPLITS
from prunet.data.images.image_files import Files
from prunet.training import ranks
from prunet.training.augmentation import augment_batch
from prunet.training.pixels import (
    Scaling,
    centre,
    given_scaling,
    normalise,
    resize,
    resize_and_normalise,
    resized_side,
    stored_size,
    train_scaling,
    visible_side,
)
from prunet.training.streams import DECODING_BATCH, Stream

Batch = tuple[Tensor, Tensor]  # images (..., C, H, W) float32 and labels (...) int64
Split = tuple[Tensor | Stream, Tensor]  # images (N, C, H, W) and labels (N,)

BLOCK = 256  # steps whose images are chosen together, in one copy to the device


def to_device(
    data: dict[str, Any],
    input_size: int | None,
    augment: str,
    device: torch.device,
    normalise_by: Mapping[str, list[float]] | str | None = None,
    interpolation: str = "bilinear",
) -> dict[str, Split]:
    """Return the splits of a data set on a device, resized and normalised; images on disk become streams.

    Args:
        data: from `prunet.data.images.dataset.load`.
        input_size, augment, normalise_by, interpolation: as of `preparation`.
        device: to train on.
    """
    stored = data["images"]
    labels = torch.from_numpy(data["labels"]).to(device)
    split = torch.from_numpy(data["split"]).to(device)
    side = resized_side(stored_size(stored)[-1], input_size, augment)
    if isinstance(stored, Files):
        scaling = given_scaling(normalise_by) or Scaling(stored.mean, stored.std)
        make = partial(resize_and_normalise, side=side, scaling=scaling, interpolation=interpolation)
        chosen = [np.flatnonzero(data["split"] == number) for number in range(len(SPLITS))]
        return {
            name: (Stream(stored, chosen[number], make, side, device), labels[split == number])
            for number, name in enumerate(SPLITS)
        }
    images = torch.from_numpy(stored).to(device)
    resized = resize(images, side, interpolation)
    resized = normalise(resized, *(given_scaling(normalise_by) or train_scaling(images, resized, split)))
    return {name: (resized[split == number], labels[split == number]) for number, name in enumerate(SPLITS)}


def preparation(
    data: dict[str, Any],
    input_size: int | None,
    augment: str,
    normalise_by: Mapping[str, list[float]] | str | None = None,
    interpolation: str = "bilinear",
) -> dict[str, Any]:
    """Return the values that `prepare` needs, in JSON types, to make a data set's images the model's inputs.

    Images are resized so that the centre (or crop) that `augment` leaves has `input_size` pixels a side: with
    `crop-flip` to 9/8 of it, with `resized-crop-flip` to 8/7; None keeps the stored size. Then gray images
    are normalised to mean 0 and standard deviation 1 over the training split. Colour images are normalised
    channel by channel, by the moments of the stored pixels.

    Args:
        data: from `prunet.data.images.dataset.load`.
        input_size, augment: of the study.
        normalise_by: what replaces the moments of the training split: a `mean` and a `std` for each channel,
            of pixels from 0 to 1, that loaded weights were trained with; `unit-norm`: every resized image is
            divided by its L2 norm; `none`: pixels from 0 to 1.
        interpolation: by which images are resized, averaging when they shrink: bilinear or bicubic.

    Returns:
        `stored` (pixels a side in the data set), `side` (pixels a side after resizing), `interpolation`,
        `shape` (C, H, W of the model's input), `mean` and `std` (of pixels from 0 to 255; lists of three for
        colour images, or one number), and `unit_norm`, as of `pixels.Scaling`.
    """
    channels, pixels = stored_size(data["images"])
    side = resized_side(pixels, input_size, augment)
    given = given_scaling(normalise_by)
    if isinstance(data["images"], Files):
        scaling = given or Scaling(data["images"].mean, data["images"].std)
        shape: tuple[int, ...] = (side, side)
    else:
        images = torch.from_numpy(data["images"])
        resized = resize(images, side, interpolation)
        scaling = given or train_scaling(images, resized, torch.from_numpy(data["split"]))
        shape = resized.shape[-2:]
    return {
        "stored": pixels,
        "side": side,
        "interpolation": interpolation,
        "shape": [channels, *(visible_side(length, augment) for length in shape)],
        **scaling._asdict(),
    }


def prepare(images: Tensor, values: dict[str, Any]) -> Tensor:
    """Map images (N, C, S, S) uint8 to the model's inputs in evaluation, (N, C, H, W) float32.

    Args:
        images: of the size that the data set stores.
        values: from `preparation`.
    """
    scaling = Scaling(values["mean"], values["std"], values.get("unit_norm", False))
    resized = resize_and_normalise(images, values["side"], scaling, values.get("interpolation", "bilinear"))
    return centre(resized, values["shape"][-1])


def input_shape(splits: dict[str, Split], augment: str) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of the model's input."""
    _, channels, height, width = splits["train"][0].shape
    return channels, visible_side(height, augment), visible_side(width, augment)


def order(count: int, batch_size: int, steps: int, generator: torch.Generator) -> Iterator[Tensor]:
    """Yield (batch_size,) int64 indices for each step: one shuffled epoch after another, drawn as it begins.

    Every epoch contains each of `count` images once. Every batch is full: it may end one epoch and begin the
    next.
    """
    rest = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(rest) < batch_size:
            rest = torch.cat([rest, torch.randperm(count, generator=generator)])
        yield rest[:batch_size]
        rest = rest[batch_size:]


def drawn(
    count: int, settings: Mapping[str, Any], runs: Sequence[Mapping[str, Any]], done: int
) -> Iterator[Tensor]:
    """Yield the indices (N, B) of the images of every step after `done`, or of this rank's part of them.

    Args:
        count: of training images.
        settings: the study's `training` block of params.yaml.
        runs: for each network its `seeds`.
        done: the last step that was taken before.
    """
    batch_size, steps = settings["batch_size"], settings["steps"]
    orders = [
        islice(order(count, batch_size, steps, Generator().manual_seed(run["seeds"]["order"])), done, None)
        for run in runs
    ]
    part = ranks.part(batch_size)
    return (torch.stack(rows)[:, part] for rows in zip(*orders, strict=True))


def take(split: Split, chosen: Tensor) -> Batch:
    """Return the images (B, C, H, W) and labels (B,) of a split at indices (B,), not augmented."""
    images, labels = split
    if isinstance(images, Stream):
        ((pixels, found),) = images.read([chosen])
        return pixels, labels[found]
    chosen = chosen.to(labels.device)
    return images[chosen], labels[chosen]


def chunks(split: Split, size: int) -> Iterator[Batch]:
    """Yield a whole split in its order, or this rank's part of it, at most `size` images at a time."""
    images, labels = split
    part = ranks.part(len(labels))
    if isinstance(images, Stream):
        for pixels, found in images.read(
            torch.split(torch.arange(len(labels))[part], min(size, DECODING_BATCH))
        ):
            yield pixels, labels[found]
    else:
        yield from zip(torch.split(images[part], size), torch.split(labels[part], size), strict=True)


def spread(split: Split, count: int, size: int) -> Iterator[Tensor]:
    """Yield `count` images (all, if there are fewer) in batches of `size` or a few more, not augmented.

    The images of every batch are spread evenly over the split, in which classes may follow one another.
    """
    images, labels = split
    count = min(count, len(labels))
    chosen = torch.arange(count) * len(labels) // count
    batches = max(1, count // size)
    parts = [chosen[first::batches] for first in range(batches)]
    if isinstance(images, Stream):
        yield from (pixels for pixels, _ in images.read(parts))
    else:
        yield from (images[part.to(labels.device)] for part in parts)


def training_batches(
    split: Split,
    size: int,
    settings: Mapping[str, Any],
    runs: Sequence[Mapping[str, Any]],
    generators: list[Generator],
    done: int,
) -> Iterator[tuple[int, Batch]]:
    """Yield every step after `done` with its augmented batch (N, B, ...), or this rank's part of it.

    The networks' `generators` of augmentation advance only when a batch is yielded.
    """
    chosen_by_step = drawn(len(split[1]), settings, runs, done)
    for step, (images, chosen, labels) in enumerate(_read(split, chosen_by_step), done + 1):
        ranks.reseed(generators, runs, "augment", step)
        yield step, (augment_batch(images, chosen, size, settings["augment"], generators), labels)


def _read(split: Split, drawn: Iterator[Tensor]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield images, indices (N, B) into them, and labels (N, B) for each step of `drawn`, (N, B) each."""
    images, labels = split
    if isinstance(images, Stream):
        wanted, drawn = tee(drawn)
        for chosen, (pixels, found) in zip(
            wanted, images.read(step.flatten() for step in drawn), strict=True
        ):
            positions = torch.arange(chosen.numel(), device=labels.device).view(chosen.shape)
            yield pixels, positions, labels[found].view(chosen.shape)
    else:
        while block := list(islice(drawn, BLOCK)):
            for chosen in torch.stack(block).to(labels.device):
                yield images, chosen, labels[chosen]
