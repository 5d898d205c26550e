"""Embedding of faces by a trained network: the numbers that its output layer reads, 256 in a LightCNN.

Wu, He, Sun and Tan, "A Light CNN for Deep Face Representation with Noisy Labels", IEEE Transactions on
Information Forensics and Security 13 (2018), compares faces by the cosine of these numbers.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from prunet.data.faces.likeness import Vectors, unit
from prunet.models import heads
from prunet.training import batches
from prunet.training.streams import Images, parts

BATCH = 256  # images at a time; bounds the memory


def head(model: nn.Module, metadata: dict[str, Any]) -> nn.Module:
    """Return the output layer of a ticket's model: linear, or a convolution.

    Args:
        model: from `inference.build`.
        metadata: of the ticket.
    """
    channels, height, width = metadata["preparation"]["shape"]
    return model.get_submodule(heads.prefix(model, (channels, height, width)).removesuffix("."))


def size(layer: nn.Module) -> int:
    """Return how many numbers an output layer reads at one position."""
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)  # type: ignore[arg-type]


def embedder(model: nn.Module, metadata: dict[str, Any]) -> Callable[[Images], Vectors]:
    """Return a function that embeds images (N, C, S, S), as the data set stores them, as unit vectors (N, D).

    They are what the output layer reads, averaged over positions. An image of which it reads zeros alone has
    the zero vector, which is like no other.

    Args:
        model: from `inference.build`, in evaluation mode.
        metadata: of the ticket.
    """
    layer = head(model, metadata)

    @torch.no_grad()
    def embed(images: Images) -> Vectors:
        read, found = list[Tensor](), []
        hook = layer.register_forward_pre_hook(lambda _, inputs: read.append(_pooled(layer, inputs[0])))
        for part in parts(images, BATCH):
            model(batches.prepare(part, metadata["preparation"]))
            found.append(read[-1])  # of a model that runs the layer several times, the last
            read.clear()
        hook.remove()
        return unit(torch.cat(found).double().numpy()).astype(np.float32)

    return embed


def pixels(images: NDArray[np.uint8]) -> Vectors:
    """Return images (N, C, S, S) as unit vectors (N, D) without a network: their cosine is a correlation."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    return unit(flat - flat.mean(1, keepdims=True)).astype(np.float32)


def _pooled(layer: nn.Module, features: Tensor) -> Tensor:
    """Map what a linear layer (N, ..., D) or a convolution (N, D, ...) reads to (N, D)."""
    if isinstance(layer, nn.Linear):
        return features.reshape(len(features), -1, features.shape[-1]).mean(1)
    return features.flatten(2).mean(2)
