"""From the pixels that a dataset stores to what the model sees: size, mean and spread."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from prunet.data.dataset import SPLITS
from prunet.data.image_files import Files
from prunet.data.moments import moments
from prunet.training.augmentation import KEPT

Moments = float | list[float]  # of gray images one number, of colour images one for each channel
SUMMED = 64  # images at a time; bounds the memory that their squares take


def stored_size(images: Any) -> tuple[int, int]:
    """Return how many channels, and pixels a side, the images of a dataset have."""
    return (3, images.side) if isinstance(images, Files) else (images.shape[1], images.shape[-1])


def scaled_side(stored: int, input_size: int | None, augment: str) -> int:
    """Return how many pixels a side images are resized to, so that the model sees `input_size` of them."""
    return stored if input_size is None else round(input_size / KEPT[augment])


def seen_side(side: int, augment: str) -> int:
    """Return how many pixels of resized images the model sees."""
    return round(side * KEPT[augment])


def prepared(images: Tensor, side: int, mean: Moments, std: Moments) -> Tensor:
    """Resize and normalise images (N, C, S, S) uint8; returns (N, C, side, side) float32."""
    return normalised(scaled(images, side), mean, std)


def scaled(images: Tensor, side: int) -> Tensor:
    """Resize images (N, C, H, W) of any type; returns (N, C, side, side) float32, 0 to 255."""
    images = images.float()
    if side == images.shape[-1]:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


def normalised(images: Tensor, mean: Moments, std: Moments) -> Tensor:
    """Take the mean from images (N, C, H, W) and divide them by the standard deviation."""
    if isinstance(mean, list) and isinstance(std, list):
        by_channel = images.new_tensor([mean, std])[:, :, None, None]
        return (images - by_channel[0]) / by_channel[1]
    return (images - mean) / std  # type: ignore[operator]


def train_moments(images: Tensor, resized: Tensor, split: Tensor) -> tuple[Moments, Moments]:
    """Return mean and standard deviation over the training split.

    Args:
        images: (N, C, S, S) uint8, of which colour is measured.
        resized: (N, C, H, W) the same, of which gray is measured.
        split: (N,).
    """
    train = split == SPLITS.index("train")
    if images.shape[1] == 1:
        std, mean = torch.std_mean(resized[train])
        return mean.item(), std.item()
    # Sums of whole numbers are exact, so that images on disk and any device give the same.
    sums = squares = torch.zeros(images.shape[1], dtype=torch.float64, device=images.device)
    for part in torch.split(images[train], SUMMED):
        values = part.flatten(2).double()
        sums = sums + values.sum(2).sum(0)
        squares = squares + values.square_().sum(2).sum(0)
    return moments(sums.tolist(), squares.tolist(), images[train, 0].numel())


def centre(images: Tensor, size: int) -> Tensor:
    """Cut the middle (size, size) piece from images (N, C, H, W)."""
    top, left = (images.shape[-2] - size) // 2, (images.shape[-1] - size) // 2
    return images[..., top : top + size, left : left + size]
