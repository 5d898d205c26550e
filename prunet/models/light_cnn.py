"""LightCNN-9 and LightCNN-29 for gray faces: convolutions with max-feature-map activations."""

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from prunet.models import inputs
from prunet.models.inputs import Shape


class MaxFeatureMap(nn.Module):
    """Keep the greater of feature i and feature i + n (Wu et al. 2018, section 3.1).

    Where the two are equal, the gradient goes to feature i.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, 2n, ...) to (N, n, ...)."""
        if torch.is_grad_enabled() and features.requires_grad:
            return _Maximum.apply(features)  # type: ignore[no-any-return]
        return torch.maximum(*features.chunk(2, dim=1))


class _Maximum(torch.autograd.Function):
    """Maximum of the two halves of the features, with a faster backward pass than `torch.maximum`.

    On CPUs, comparisons to bool tensors and `torch.where` are not vectorised: they take 3 to 13 times as long
    as the operations here.
    """

    @staticmethod
    def forward(features: Tensor) -> Tensor:
        return torch.maximum(*features.chunk(2, dim=1))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        wins = torch.empty_like(output)  # ones and zeros, not bool
        ctx.save_for_backward(torch.ge(*inputs[0].chunk(2, dim=1), out=wins))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (wins,) = ctx.saved_tensors
        channels_last = wins.ndim == 4 and wins.is_contiguous(memory_format=torch.channels_last)
        both = torch.empty(
            (len(wins), 2 * wins.shape[1], *wins.shape[2:]),
            dtype=wins.dtype,
            device=wins.device,
            memory_format=torch.channels_last if channels_last else torch.contiguous_format,
        )
        first, second = both.chunk(2, dim=1)
        torch.mul(gradient, wins, out=first)
        torch.sub(gradient, first, out=second)
        return both


class ResidualBlock(nn.Module):
    """Two convolutions with max-feature-map, added to their input (Wu et al. 2018, section 3.2)."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.first = _convolution(maps, maps, kernel=3)
        self.second = _convolution(maps, maps, kernel=3)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, n, H, W) to the same shape."""
        return features + self.second(self.first(features))  # type: ignore[no-any-return]


class LightCNN(nn.Module):
    """Convolutions, an embedding of 256 features with dropout, and a linear classifier.

    Args:
        features: maps (N, 1, S, S) images to (N, 128, S / 16, S / 16) features.
        size: S, pixels.
        classes: number of people.
    """

    def __init__(self, features: nn.Module, size: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.fc1 = nn.Linear(128 * (size // 16) ** 2, 512)
        self.mfm = MaxFeatureMap()
        self.output = nn.Linear(256, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, 1, S, S) images to (N, classes) logits."""
        embedding = self.mfm(self.fc1(self.features(images).flatten(1)))
        return self.output(functional.dropout(embedding, 0.5, self.training))  # type: ignore[no-any-return]


def light_cnn_9(shape: Shape, classes: int) -> nn.Module:
    """Build LightCNN-9 (Wu et al. 2018, table 1): nine convolutions with max-feature-map.

    Takes (N, 1, S, S) images, S a multiple of 16; published with S = 128, where it has 5,482,663
    parameters for seven classes.

    Raises:
        InputError: the images are not square, gray, and a multiple of 16 pixels a side.
    """
    _check("light-cnn-9", shape)
    features = OrderedDict(
        conv1=_convolution(1, 48, kernel=5),
        pool1=nn.MaxPool2d(2),
        conv2a=_convolution(48, 48, kernel=1),
        conv2=_convolution(48, 96, kernel=3),
        pool2=nn.MaxPool2d(2),
        conv3a=_convolution(96, 96, kernel=1),
        conv3=_convolution(96, 192, kernel=3),
        pool3=nn.MaxPool2d(2),
        conv4a=_convolution(192, 192, kernel=1),
        conv4=_convolution(192, 128, kernel=3),
        conv5a=_convolution(128, 128, kernel=1),
        conv5=_convolution(128, 128, kernel=3),
        pool4=nn.MaxPool2d(2),
    )
    return LightCNN(nn.Sequential(features), shape[1], classes)


def light_cnn_29(shape: Shape, classes: int) -> nn.Module:
    """Build LightCNN-29 (Wu et al. 2018, table 2): ten residual blocks between convolutions, no norms.

    Takes the same images as LightCNN-9. With S = 128 it has 12,573,280 parameters without the classifier:
    12,565,344 weights and 7,936 biases. The published 12,637K count weights only, and count 96 input maps for
    conv2, before their max-feature-map, instead of 48. Counted that way, this network has 12,648K; the table
    rounds every row down.

    Raises:
        InputError: the images are not square, gray, and a multiple of 16 pixels a side.
    """
    _check("light-cnn-29", shape)
    features = OrderedDict(
        conv1=_convolution(1, 48, kernel=5),
        pool1=nn.MaxPool2d(2),
        group2=_group(48, 96, blocks=1),
        pool2=nn.MaxPool2d(2),
        group3=_group(96, 192, blocks=2),
        pool3=nn.MaxPool2d(2),
        group4=_group(192, 128, blocks=3),
        group5=_group(128, 128, blocks=4),
        pool4=nn.MaxPool2d(2),
    )
    return LightCNN(nn.Sequential(features), shape[1], classes)


def _check(model: str, shape: Shape) -> None:
    channels, height, width = shape
    fits = channels == 1 and height == width and height % 16 == 0
    inputs.check(fits, model, "gray images whose side is a multiple of 16 pixels", shape)


def _convolution(channels: int, maps: int, kernel: int) -> nn.Module:
    return nn.Sequential(
        OrderedDict(conv=nn.Conv2d(channels, 2 * maps, kernel, padding=kernel // 2), mfm=MaxFeatureMap())
    )


def _group(channels: int, maps: int, blocks: int) -> nn.Module:
    layers = OrderedDict[str, nn.Module]()
    for number in range(1, blocks + 1):
        layers[f"block{number}"] = ResidualBlock(channels)
    layers["conv_a"] = _convolution(channels, channels, kernel=1)
    layers["conv"] = _convolution(channels, maps, kernel=3)
    return nn.Sequential(layers)
