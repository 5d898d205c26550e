"""Inference with a ticket: its model, and the class probabilities of images.

A ticket's metadata are JSON. Inference uses `model`, `head` and `ranks` (see `loading.build_for`),
`preparation` (from `batches.preparation`) and `class_names`.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prunet.cells.masks import Weights
from prunet.models import loading
from prunet.models.state import load_state
from prunet.training import batches
from prunet.training.streams import Images, parts


def build(weights: Weights, metadata: dict[str, Any]) -> nn.Module:
    """Build a ticket's model in evaluation mode.

    Args:
        weights: every tensor of one network, (*shape), zero where pruned.
        metadata: of the ticket.
    """
    channels, height, width = metadata["preparation"]["shape"]
    model = loading.build_for(metadata, (channels, height, width), len(metadata["class_names"]))
    load_state(model, weights)
    return model.eval()


def build_all(weights: Weights, metadata: dict[str, Any]) -> Iterator[nn.Module]:
    """Yield the model of each network of a cell.

    Args:
        weights: every tensor, (R, *shape), zero where pruned.
        metadata: that tickets of the study share.
    """
    for index in range(len(next(iter(weights.values())))):
        yield build({name: np.array(values[index]) for name, values in weights.items()}, metadata)


@torch.no_grad()
def classify(
    model: nn.Module, images: Images, metadata: dict[str, Any], batch_size: int = 256
) -> NDArray[np.float32]:
    """Return the class probabilities of images, (N, classes), rows summing to 1.

    Args:
        model: from `build`, or a smaller or sparse form of it.
        images: (N, C, S, S) as the data set stores them; S is `stored` of the ticket's preparation.
        metadata: of the ticket.
        batch_size: images at a time; bounds the memory.
    """
    found = [
        model(batches.prepare(part, metadata["preparation"])).softmax(1) for part in parts(images, batch_size)
    ]
    probabilities: NDArray[np.float32] = torch.cat(found).numpy()
    return probabilities


def accuracy(model: nn.Module, images: Images, labels: NDArray[np.int64], metadata: dict[str, Any]) -> float:
    """Return the fraction, 0 to 1, of images (N, C, S, S) that the model assigns their label (N,)."""
    return float(np.mean(classify(model, images, metadata).argmax(1) == labels))
