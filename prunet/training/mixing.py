"""Mixtures of training images and of their labels: mixup and CutMix."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import Generator

from prunet.training.augmentation import drawing_from
from prunet.training.batches import Batch


def mixed(
    batches: Iterable[tuple[int, Batch]],
    classes: int,
    settings: Mapping[str, Any],
    generators: list[Generator],
) -> Iterator[tuple[int, Batch]]:
    """Yield every step with its batch, whose images and labels are mixed with those before them in the batch.

    `mixup` blends two images (Zhang et al. 2018, section 2), `cutmix` pastes a rectangle of one into the
    other (Yun et al. 2019, section 3.1), and the label takes the same shares. The settings of these names are
    the alpha of the Beta distribution, from which every batch draws its share; with both above 0, every batch
    draws one of the two.

    Args:
        batches: steps, each with images (N, B, C, H, W) and labels (N, B).
        classes: their number.
        settings: the study's `training` block of params.yaml.
        generators: one for each network; they advance only when a batch is yielded.

    Yields:
        Steps, each with images (N, B, C, H, W) and the probabilities of the classes (N, B, classes).
    """
    from torchvision.transforms import v2  # slow to import, and crashes beside TensorFlow

    kinds = {"mixup": v2.MixUp, "cutmix": v2.CutMix}
    chosen = [
        kind(alpha=settings[name], num_classes=classes) for name, kind in kinds.items() if settings[name]
    ]
    mix = v2.RandomChoice(chosen)
    for step, (images, labels) in batches:
        parts = []
        for own, expected, generator in zip(images, labels, generators, strict=True):
            with drawing_from(generator):
                parts.append(mix(own, expected))
        yield step, (torch.stack([own for own, _ in parts]), torch.stack([shares for _, shares in parts]))
