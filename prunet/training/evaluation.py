"""Loss and accuracy of a stack of networks on a split, with norms measured anew if the study asks for it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from prunet.training import ranks
from prunet.training.batches import Split, chunks, spread
from prunet.training.gradients import Network
from prunet.training.pixels import centre
from prunet.training.vectors import Stack

# Limits of a batch. They bound the memory, and activations of small batches stay in a processor's cache.
MAX_IMAGES = 500
MAX_PIXELS = 2**20  # height x width of all its images


def images_at_once(shape: Sequence[int]) -> int:
    """Return how many images (..., H, W) of this shape a batch has that nothing is learned from."""
    return max(1, min(MAX_IMAGES, MAX_PIXELS // math.prod(shape[-2:])))


@torch.no_grad()
def evaluate(network: Network, stack: Stack, split: Split, size: int) -> tuple[list[float], list[float]]:
    """Return each network's mean cross-entropy (nats) and accuracy (0 to 1) on the images' centres.

    Losses of single images are float32; their mean is taken in float64. Ranks share the images.

    Args:
        network: computes the logits.
        stack: weights (N, *shape) of every tensor.
        split: images (M, C, H, W) and labels (M,).
        size: pixels a side of the centre.
    """
    images, labels = split
    loss = right = torch.zeros((), dtype=torch.float64, device=labels.device)
    for pixels, expected in chunks(split, images_at_once(images.shape)):
        logits = network.logits(stack, centre(pixels, size)).float()  # (N, B, classes)
        # With the classes in the last dimension, log_softmax would take ten times as long.
        log_probabilities = logits.transpose(1, 2).contiguous().log_softmax(1)
        of_labels = log_probabilities.gather(1, expected.expand(len(logits), 1, -1))
        loss = loss - of_labels.sum((1, 2), dtype=torch.float64)
        right = right + (logits.argmax(-1) == expected).sum(1)
    loss, right = ranks.total(loss), ranks.total(right)
    return (loss / len(labels)).tolist(), (right / len(labels)).tolist()


def recalibrate(
    network: Network, stack: Stack, training: Split, size: int, settings: Mapping[str, Any]
) -> None:
    """Measure the running statistics of norms anew, if the setting `recalibrate` gives a number of images.

    Statistics that were measured before a network was pruned, or of other networks, do not fit it (Li et al.
    2020, "EagleEye").

    Args:
        network: of the stack.
        stack: weights (N, *shape) of every tensor; the running statistics are changed in place.
        training: the training split; the images are spread evenly over it and not augmented.
        size: pixels a side of the centre of the images.
        settings: the study's `training` block of params.yaml.
    """
    if count := settings["recalibrate"]:
        batches = spread(training, count, settings["batch_size"])
        network.recalibrate(stack, (centre(images, size) for images in batches))
