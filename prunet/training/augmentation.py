"""Augmentation: random pieces of images, mirrored at random, a whole batch at a time on its device."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

# Share of an image's side that the model sees of its centre in evaluation, and random pieces of in training:
# LightCNN's 128 of 144 pixels (Wu et al. 2018, section 4.1); 224 of 256, the usual test of ImageNet.
KEPT = {"none": 1.0, "crop-flip": 8 / 9, "pad-crop-flip": 1.0, "resized-crop-flip": 7 / 8}

PADDING = 1 / 8  # of the side: 4 of 32 pixels (He et al. 2016, section 4.2)
AREA = (0.08, 1.0)  # share of an image that a piece has (Szegedy et al. 2015, section 6)
RATIO = (3 / 4, 4 / 3)  # of its width to its height (the same)


def crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
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


def pad_crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
    """Put zeros around each chosen image, an eighth of its side wide, and `crop_flip` it (He et al. 2016).

    Arguments are as for `crop_flip`; images are (N, C, size, size) and normalised, so that zero is the mean.
    """
    padded = functional.pad(images[chosen], [round(size * PADDING)] * 4)
    return crop_flip(padded, torch.arange(len(chosen), device=chosen.device), size, generator)


def resized_crop_flip(images: Tensor, chosen: Tensor, size: int, generator: Generator) -> Tensor:
    """Cut a piece of random area and shape from each chosen image, resize it, mirror every second one.

    The area is uniform in `AREA`, the logarithm of the ratio in that part of `RATIO` at which a piece of this
    area fits into the image (Szegedy et al. 2015, "Going deeper with convolutions", section 6). Pieces are
    resized bilinearly. Arguments are as for `crop_flip`; images may have any S.
    """
    batch = len(chosen)
    share, shape, down, across = torch.rand(4, batch, generator=generator, dtype=torch.float64)
    mirrored = torch.randint(0, 2, (batch,), generator=generator, dtype=torch.bool)
    area = AREA[0] + (AREA[1] - AREA[0]) * share
    widest = torch.minimum(-area.log(), torch.full_like(area, math.log(RATIO[1])))
    ratio = torch.exp((2 * shape - 1) * widest)  # RATIO is symmetric, and so is what fits
    width, height = (area * ratio).sqrt(), (area / ratio).sqrt()  # shares of the side
    # In grid_sample's coordinates an image goes from -1 to 1.
    x, y = (2 * across - 1) * (1 - width), (2 * down - 1) * (1 - height)
    maps = torch.zeros(batch, 2, 3, dtype=torch.float64)
    maps[:, 0, 0] = torch.where(mirrored, -width, width)
    maps[:, 1, 1] = height
    maps[:, 0, 2], maps[:, 1, 2] = x, y
    pieces = images[chosen]
    grid = functional.affine_grid(
        maps.to(pieces.device, pieces.dtype), [batch, pieces.shape[1], size, size], align_corners=False
    )
    return functional.grid_sample(pieces, grid, padding_mode="border", align_corners=False)


AUGMENTATIONS = {
    "crop-flip": crop_flip,
    "pad-crop-flip": pad_crop_flip,
    "resized-crop-flip": resized_crop_flip,
}


def augmented(images: Tensor, chosen: Tensor, size: int, augment: str, generators: list[Generator]) -> Tensor:
    """Return the training images (N, B, C, size, size) of N networks.

    Args:
        images: (M, C, S, S).
        chosen: (N, B) indices.
        size: pixels a side that the model sees.
        augment: a key of `AUGMENTATIONS`, or `none`, for which S is `size`.
        generators: one for each network.
    """
    if augment == "none":
        return images.index_select(0, chosen.flatten()).view(*chosen.shape, *images.shape[1:])
    change = AUGMENTATIONS[augment]
    pieces = [change(images, mine, size, rng) for mine, rng in zip(chosen, generators, strict=True)]
    return torch.stack(pieces)
