"""Images on the device: normalised once, then indexed, cropped and mirrored a whole batch at a time."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from prunet.base.dataset import SPLITS

CROP = (
    8 / 9
)  # share of the side that a crop keeps: LightCNN's 128 of 144 pixels (Wu et al. 2018, section 4.1)

Split = tuple[Tensor, Tensor]  # images (N, C, H, W) float32 and labels (N,) int64


def place(
    data: dict[str, Any], input_size: int | None, augment: str, device: torch.device
) -> dict[str, Split]:
    """Put a dataset on the device, prepared, by split."""
    images = torch.from_numpy(data["images"]).to(device)
    labels = torch.from_numpy(data["labels"]).to(device)
    split = torch.from_numpy(data["split"]).to(device)
    images = _scaled(images, _side(images, input_size, augment))
    mean, std = _moments(images, split)
    images = (images - mean) / std
    return {name: (images[split == side], labels[split == side]) for side, name in enumerate(SPLITS)}


def preparation(data: dict[str, Any], input_size: int | None, augment: str) -> dict[str, Any]:
    """Say how a dataset's images become what the model sees, in numbers that can travel with a network.

    Images are resized so that the model sees `input_size` pixels a side (None: as stored): with `crop-flip`
    to 9/8 of it, which leaves training its random crops and evaluation the centre; then they get mean 0 and
    standard deviation 1 over the training split.

    Returns:
        `stored` (pixels a side in the dataset), `side` (pixels that images are resized to), `shape` (C, H, W
        of the centre that the model sees), `mean` and `std` (of the training split's pixels, 0 to 255).
    """
    images, split = torch.from_numpy(data["images"]), torch.from_numpy(data["split"])
    side = _side(images, input_size, augment)
    scaled = _scaled(images, side)
    mean, std = _moments(scaled, split)
    return {
        "stored": images.shape[-1],
        "side": side,
        "shape": [images.shape[1], *(_kept(length, augment) for length in scaled.shape[-2:])],
        "mean": mean,
        "std": std,
    }


def prepare(images: Tensor, how: dict[str, Any]) -> Tensor:
    """Make images (N, C, S, S) uint8 what the model sees, (N, C, H, W) float32, as in evaluation.

    Args:
        images: of the size that the dataset stores.
        how: from `preparation`.
    """
    return centre((_scaled(images, how["side"]) - how["mean"]) / how["std"], how["shape"][-1])


def _side(images: Tensor, input_size: int | None, augment: str) -> int:
    if input_size is None:
        return images.shape[-1]
    return round(input_size / CROP) if augment == "crop-flip" else input_size


def _kept(side: int, augment: str) -> int:
    return round(side * CROP) if augment == "crop-flip" else side


def _scaled(images: Tensor, side: int) -> Tensor:
    images = images.float()
    if side == images.shape[-1]:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def _moments(images: Tensor, split: Tensor) -> tuple[float, float]:
    """Return mean and standard deviation of the training split's pixels."""
    std, mean = torch.std_mean(images[split == SPLITS.index("train")])
    return mean.item(), std.item()


def input_shape(splits: dict[str, Split], augment: str) -> tuple[int, int, int]:
    """Return the (C, H, W) that the model sees."""
    _, channels, height, width = splits["train"][0].shape
    return channels, _kept(height, augment), _kept(width, augment)


def order(count: int, batch_size: int, steps: int, generator: torch.Generator) -> Tensor:
    """Return (steps, batch_size) int64 indices of images: one shuffled pass over the data after the other.

    Every batch is full, a batch may end one pass and begin the next, and each pass holds every image once.
    """
    passes = -(-steps * batch_size // count)
    drawn = torch.cat([torch.randperm(count, generator=generator) for _ in range(passes)])
    return drawn[: steps * batch_size].view(steps, batch_size)


def crop_flip(images: Tensor, chosen: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """Cut a random (size, size) piece from each chosen image and mirror every second one, at random.

    Args:
        images: (N, C, S, S), S >= size.
        chosen: (B,) indices.
        size: pixels a side of the result (B, C, size, size).
        generator: on the CPU, so that a seed means the same crops on every device.
    """
    batch, slack = len(chosen), images.shape[-1] - size
    top, left = torch.randint(0, slack + 1, (2, batch, 1), generator=generator)
    mirrored = torch.randint(0, 2, (batch, 1), generator=generator, dtype=torch.bool)
    along = torch.arange(size)
    rows = (top + along).to(images.device)
    columns = (left + torch.where(mirrored, size - 1 - along, along)).to(images.device)
    pieces = images[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (B, size, size, C)
    return pieces.permute(0, 3, 1, 2)


def centre(images: Tensor, size: int) -> Tensor:
    """Cut the middle (size, size) piece from images (N, C, H, W)."""
    top, left = (images.shape[-2] - size) // 2, (images.shape[-1] - size) // 2
    return images[..., top : top + size, left : left + size]


def chunks(split: Split, size: int) -> Iterator[Split]:
    """Yield all of a split in its order, at most `size` images at a time."""
    yield from zip(torch.split(split[0], size), torch.split(split[1], size), strict=True)
