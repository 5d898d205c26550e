"""RandAugment: random distortions of colours and shapes, by torchvision."""

from collections.abc import Iterable, Iterator

import torch
from torch import Generator

from prunet.training.augmentation import drawing_from
from prunet.training.batches import Batch
from prunet.training.pixels import Moments, normalise, pixel_values


def distorted(
    batches: Iterable[tuple[int, Batch]], moments: tuple[Moments, Moments], generators: list[Generator]
) -> Iterator[tuple[int, Batch]]:
    """Yield every step with its batch, each image of which is distorted twice, at random.

    The distortions are those of RandAugment (Cubuk et al. 2020, section 3) with torchvision's magnitude, 9 of
    30: of brightness, colour, contrast and sharpness, posterised, solarised, equalised, sheared, moved,
    rotated, or none. They work on whole numbers from 0 to 255.

    Args:
        batches: steps, each with images (N, B, C, H, W), normalised, and labels.
        moments: mean and standard deviation that the images were normalised by.
        generators: one for each network; they advance only when a batch is yielded.
    """
    from torchvision.transforms import v2  # slow to import, and crashes beside TensorFlow

    distort = v2.RandAugment()
    for step, (images, labels) in batches:
        parts = []
        for own, generator in zip(images, generators, strict=True):
            with drawing_from(generator):
                pixels = torch.stack([distort(image) for image in pixel_values(own, *moments)])
            parts.append(normalise(pixels.float(), *moments))
        yield step, (torch.stack(parts), labels)
