"""A ticket at work: a model with its weights, and images in, probabilities out.

What is said about a ticket, `about`, is JSON: `model` (a key of `models.MODELS`), `preparation` (from
`batches.preparation`) and `class_names` are what inference needs of it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from prunet.models import built_in as models
from prunet.pruning.masks import Weights
from prunet.training import batches


def build(weights: Weights, about: dict[str, Any]) -> nn.Module:
    """Build the model of a ticket in evaluation mode.

    Args:
        weights: every tensor of one network, (*shape), zero where pruned.
        about: what is said about the ticket.
    """
    channels, height, width = about["preparation"]["shape"]
    model = models.MODELS[about["model"]]((channels, height, width), len(about["class_names"]))
    model.load_state_dict({name: torch.as_tensor(values) for name, values in weights.items()})
    return model.eval()


@torch.no_grad()
def classify(
    model: nn.Module, images: NDArray[np.uint8], about: dict[str, Any], batch_size: int = 256
) -> NDArray[np.float32]:
    """Return each image's probability of every class, (N, classes), rows summing to 1.

    Args:
        model: from `build`, or a smaller or sparse form of it.
        images: (N, C, S, S), as the dataset stores them: S is `stored` of the ticket's preparation.
        about: what is said about the ticket.
        batch_size: images at a time; bounds the memory.
    """
    parts = [
        model(batches.prepare(part, about["preparation"])).softmax(1)
        for part in torch.split(torch.from_numpy(images), batch_size)
    ]
    probabilities: NDArray[np.float32] = torch.cat(parts).numpy()
    return probabilities


def accuracy(
    model: nn.Module, images: NDArray[np.uint8], labels: NDArray[np.int64], about: dict[str, Any]
) -> float:
    """Return the share of images (N, C, S, S) that the model gives their label (N,), 0 to 1."""
    return float(np.mean(classify(model, images, about).argmax(1) == labels))
