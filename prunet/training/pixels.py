"""Resizing and normalisation of the images of a data set."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from prunet.base.errors import InputError
from prunet.data.images.dataset import SPLITS
from prunet.data.images.image_files import Files
from prunet.data.images.moments import moments
from prunet.training.augmentation import VISIBLE

Moments = float | list[float]  # one number for gray images, one per channel for colour images
MEASURED_BATCH = 64  # images; bounds the memory


class Scaling(NamedTuple):
    """Scaling of images with pixels from 0 to 255; with `unit_norm`, each is then divided by its L2 norm."""

    mean: Moments
    std: Moments
    unit_norm: bool = False


NAMED = {"unit-norm": Scaling(0.0, 1.0, unit_norm=True), "none": Scaling(0.0, 255.0)}


def stored_size(images: Any) -> tuple[int, int]:
    """Return the number of channels and the pixels a side of a data set's images.

    Raises:
        InputError: the images are not square.
    """
    if isinstance(images, Files):
        return 3, images.side
    _, channels, height, width = images.shape
    if height != width:
        raise InputError(
            f"The images of the data set have {width} x {height} pixels, but training takes square ones: "
            "crop or pad them to squares before they are saved."
        )
    return channels, width


def resized_side(stored: int, input_size: int | None, augment: str) -> int:
    """Return the pixels a side that images are resized to, so that the model sees `input_size` of them."""
    return stored if input_size is None else round(input_size / VISIBLE[augment])


def visible_side(side: int, augment: str) -> int:
    """Return the pixels a side of a resized image that the model sees."""
    return round(side * VISIBLE[augment])


def resize_and_normalise(
    images: Tensor, side: int, scaling: Scaling, interpolation: str = "bilinear"
) -> Tensor:
    """Map images (N, C, S, S) uint8 to (N, C, side, side) float32."""
    return normalise(resize(images, side, interpolation), *scaling)


def resize(images: Tensor, side: int, interpolation: str = "bilinear") -> Tensor:
    """Map images (N, C, S, S) of any type to (N, C, side, side) float32, 0 to 255."""
    images = images.float()
    if side == images.shape[-1]:
        return images
    resized = functional.interpolate(images, size=(side, side), mode=interpolation, antialias=True)
    return resized if interpolation == "bilinear" else resized.clamp_(0, 255)  # cubic ones overshoot


def normalise(images: Tensor, mean: Moments, std: Moments, unit_norm: bool = False) -> Tensor:
    """Subtract the mean from images (N, C, H, W) and divide by the standard deviation.

    With `unit_norm`, then divide each image by its L2 norm, over all channels; a black one stays zero.
    """
    if isinstance(mean, list) and isinstance(std, list):
        by_channel = images.new_tensor([mean, std])[:, :, None, None]
        scaled = (images - by_channel[0]) / by_channel[1]
    else:
        scaled = (images - mean) / std  # type: ignore[operator]
    if not unit_norm:
        return scaled
    lengths = _norms(scaled)
    return scaled / lengths.masked_fill_(lengths == 0, 1)


def _norms(images: Tensor) -> Tensor:
    """Return the L2 norms (N, 1, 1, 1) of images (N, C, H, W) with pixels from 0 to 255.

    Pixels are rounded to multiples of 1/256, of which sums are exact: batches of all sizes, and all devices,
    give the same bits.
    """
    parts = [
        (256 * part.double()).round_().square_().sum((1, 2, 3), keepdim=True)
        for part in torch.split(images, MEASURED_BATCH)
    ]
    return torch.cat(parts).sqrt_().div_(256).float()


def pixel_values(images: Tensor, mean: Moments, std: Moments) -> Tensor:
    """Return the pixels (N, C, H, W) uint8 of normalised images, rounded."""
    by_channel = [images.new_tensor(values).view(-1, 1, 1) for values in (mean, std)]
    return (images * by_channel[1] + by_channel[0]).round_().clamp_(0, 255).to(torch.uint8)


def given_scaling(normalise_by: Mapping[str, list[float]] | str | None) -> Scaling | None:
    """Return the scaling that a study sets, or None if it sets none.

    Args:
        normalise_by: a key of `NAMED`, or a `mean` and a `std` for each channel, of pixels from 0 to 1.
    """
    if normalise_by is None:
        return None
    if isinstance(normalise_by, str):
        return NAMED[normalise_by]
    mean, std = ([255 * value for value in normalise_by[name]] for name in ("mean", "std"))
    return Scaling(mean, std) if len(mean) > 1 else Scaling(mean[0], std[0])


def train_scaling(images: Tensor, resized: Tensor, split: Tensor) -> Scaling:
    """Return the scaling by the mean and the standard deviation of the pixels of the training split.

    Args:
        images: (N, C, S, S) uint8, measured if they have colour.
        resized: (N, C, H, W), measured if they are gray.
        split: (N,), indices into `SPLITS`.
    """
    train = split == SPLITS.index("train")
    if images.shape[1] == 1:
        std, mean = torch.std_mean(resized[train])
        return Scaling(mean.item(), std.item())
    # Sums of integers are exact, so images on disk and every device give the same moments.
    sums = squares = torch.zeros(images.shape[1], dtype=torch.float64, device=images.device)
    for part in torch.split(images[train], MEASURED_BATCH):
        values = part.flatten(2).double()
        sums = sums + values.sum(2).sum(0)
        squares = squares + values.square_().sum(2).sum(0)
    return Scaling(*moments(sums.tolist(), squares.tolist(), images[train, 0].numel()))


def centre(images: Tensor, size: int) -> Tensor:
    """Cut the (size, size) centre from images (N, C, H, W)."""
    top, left = (images.shape[-2] - size) // 2, (images.shape[-1] - size) // 2
    return images[..., top : top + size, left : left + size]
