"""Data augmentation: random crops, mirrored at random, a whole batch at a time on the images' device."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

# Share of an image's side that the model sees: a random crop in training, the centre in evaluation.
# LightCNN crops 128 of 144 pixels (Wu et al. 2018, section 4.1); ImageNet is usually tested on 224 of 256.
VISIBLE = {
    **{"none": 1.0, "crop-flip": 8 / 9, "pad-crop-flip": 1.0},
    **{"resized-crop-flip": 7 / 8, "rand-augment": 7 / 8},
}

PADDING = 1 / 8  # of the side: 4 of 32 pixels (He et al. 2016, section 4.2)
AREA = (0.08, 1.0)  # of a crop, as a share of the image (Szegedy et al. 2015, section 6)
RATIO = (3 / 4, 4 / 3)  # width to height of a crop (Szegedy et al. 2015, section 6)


@contextmanager
def drawing_from(generator: Generator) -> Iterator[None]:
    """Have functions that draw from PyTorch's global generator draw from one that `generator` seeds.

    The global generator, which belongs to dropout, is as before afterwards.
    """
    seed = _draw_seed(generator)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


def _draw_seed(generator: Generator) -> int:
    return int(torch.randint(2**63 - 1, (), generator=generator))


def _draw_crops(batch: int, slack: int, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw the top and left pixels (B, 1) of crops, from 0 to `slack`, and whether each is mirrored."""
    top, left = torch.randint(0, slack + 1, (2, batch, 1), generator=generator)
    return top, left, torch.randint(0, 2, (batch, 1), generator=generator, dtype=torch.bool)


def _draw_resized_crops(batch: int, generator: Generator) -> tuple[Tensor, ...]:
    """Draw four numbers (B,) from 0 to 1 for resized crops, and whether each is mirrored."""
    numbers = torch.rand(4, batch, generator=generator, dtype=torch.float64)
    return *numbers, torch.randint(0, 2, (batch,), generator=generator, dtype=torch.bool)


def _padding(size: int) -> int:
    return round(size * PADDING)


def crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
    """Cut a random (size, size) crop from each chosen image and mirror it with probability 1/2.

    Args:
        images: (N, C, S, S), S >= size.
        chosen: (B,) indices.
        size: pixels a side of the result (B, C, size, size).
        generator: on the CPU, so that a seed gives the same crops on every device.
    """
    top, left, mirrored = _draw_crops(len(chosen), images.shape[-1] - size, generator)
    offsets = torch.arange(size)
    rows = (top + offsets).to(images.device)
    columns = (left + torch.where(mirrored, size - 1 - offsets, offsets)).to(images.device)
    crops = images[chosen[:, None, None], :, rows[:, :, None], columns[:, None, :]]  # (B, size, size, C)
    return crops.permute(0, 3, 1, 2)


def pad_crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
    """Pad each chosen image with zeros, an eighth of its side wide, and apply `crop_flip` (He et al. 2016).

    The arguments are those of `crop_flip`; images are (N, C, size, size), scaled so that zero is the
    mean, or black.
    """
    padded = functional.pad(images[chosen], [_padding(size)] * 4)
    return crop_flip(padded, torch.arange(len(chosen), device=chosen.device), size, generator)


def resized_crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
    """Cut a crop of random area and shape from each chosen image, resize it, mirror it with probability 1/2.

    The area is uniform in `AREA`. The logarithm of the ratio is uniform in the part of `RATIO` with which a
    crop of this area fits into the image (Szegedy et al. 2015, "Going deeper with convolutions", section 6).
    Crops are resized bilinearly. The arguments are those of `crop_flip`; S may have any value.
    """
    batch = len(chosen)
    share, shape, down, across, mirrored = _draw_resized_crops(batch, generator)
    area = AREA[0] + (AREA[1] - AREA[0]) * share
    widest = torch.minimum(-area.log(), torch.full_like(area, math.log(RATIO[1])))
    ratio = torch.exp((2 * shape - 1) * widest)  # RATIO is symmetric, and so is the part that fits
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()  # shares of the image's side
    # The coordinates of grid_sample range from -1 to 1 over the image.
    x, y = (2 * across - 1) * (1 - width), (2 * down - 1) * (1 - height)
    maps = torch.zeros(batch, 2, 3, dtype=torch.float64)
    maps[:, 0, 0] = torch.where(mirrored, -width, width)
    maps[:, 1, 1] = height
    maps[:, 0, 2], maps[:, 1, 2] = x, y
    originals = images[chosen]
    grid = functional.affine_grid(
        maps.to(originals.device, originals.dtype),
        [batch, originals.shape[1], size, size],
        align_corners=False,
    )
    return functional.grid_sample(originals, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS = {
    "crop-flip": crop_flip,
    "pad-crop-flip": pad_crop_flip,
    "resized-crop-flip": resized_crop_flip,
    "rand-augment": resized_crop_flip,  # the distortions come after it (`rand_augment.distorted`)
}


def augment_batch(
    images: Tensor, chosen: Tensor, size: int, augment: str, generators: list[Generator]
) -> Tensor:
    """Return the training images (N, B, C, size, size) of N networks.

    Args:
        images: (M, C, S, S).
        chosen: (N, B) indices.
        size: pixels a side that the model sees.
        augment: a key of `AUGMENTATIONS`; or `none`, for which S is `size`.
        generators: one for each network.
    """
    if augment == "none":
        return images.index_select(0, chosen.flatten()).view(*chosen.shape, *images.shape[1:])
    crop = AUGMENTATIONS[augment]
    return torch.stack(
        [crop(images, own, size, generator) for own, generator in zip(chosen, generators, strict=True)]
    )


def skip(
    batches: int, side: int, size: int, settings: Mapping[str, Any], generators: Sequence[Generator]
) -> None:
    """Advance the networks' generators by the numbers that training batches draw, without their images.

    Args:
        batches: how many to skip.
        side: pixels a side of the images before augmentation.
        size: pixels a side that the model sees.
        settings: the study's `training` block of params.yaml.
        generators: one for each network.
    """
    batch, augment = settings["batch_size"], settings["augment"]
    slack = 2 * _padding(size) if augment == "pad-crop-flip" else side - size
    for generator, _ in product(generators, range(batches)):
        if augment in ("resized-crop-flip", "rand-augment"):
            _draw_resized_crops(batch, generator)
        elif augment != "none":
            _draw_crops(batch, slack, generator)
        if augment == "rand-augment":
            _draw_seed(generator)
        if settings["mixup"] or settings["cutmix"]:
            _draw_seed(generator)
