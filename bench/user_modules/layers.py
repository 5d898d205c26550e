"""Kinds of layers and norms."""

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

CLASSES = 7


def head(maps: int) -> nn.Sequential:
    """Return the mean of each of (N, maps, H, W), then a linear layer."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(maps, CLASSES))


def block(inputs: int, maps: int, stride: int = 1) -> nn.Sequential:
    """Return a 3x3 convolution, BatchNorm and ReLU."""
    convolution = nn.Conv2d(inputs, maps, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(maps), nn.ReLU())


class FunctionalCalls(nn.Module):
    """Everything that has no weights is a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 24, 3)
        self.output = nn.Linear(24, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.max_pool2d(functional.relu(self.first(images)), 2)
        features = functional.silu(self.second(functional.dropout(features, 0.1, self.training)))
        return self.output(torch.flatten(functional.adaptive_avg_pool2d(features, 1), 1))


class FlattenByView(nn.Module):
    """Every position of a map is an input of the linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 16, 5), nn.ReLU(), nn.MaxPool2d(2))
        self.hidden, self.output = nn.Linear(16 * 6 * 6, 64), nn.Linear(64, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images)
        features = features.view(features.size(0), -1)
        return self.output(torch.relu(self.hidden(features)))


class WeightStandardised(nn.Conv2d):
    """Convolution whose filters have mean 0 and variance 1 (Qiao et al. 2019)."""

    def forward(self, features: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), keepdim=True, correction=0)
        weight = (self.weight - mean) * torch.rsqrt(variance + 1e-5)
        return functional.conv2d(features, weight, self.bias, self.stride, self.padding)


def weight_standardisation() -> nn.Module:
    """Two of these convolutions with GroupNorm."""
    first, second = WeightStandardised(3, 16, 3, padding=1), WeightStandardised(16, 32, 3, padding=1)
    return nn.Sequential(
        first, nn.GroupNorm(4, 16), nn.ReLU(), second, nn.GroupNorm(8, 32), nn.ReLU(), head(32)
    )


def weight_norm() -> nn.Module:
    """Length and direction of each row are parameters (Salimans & Kingma 2016)."""
    first = parametrizations.weight_norm(nn.Conv2d(3, 16, 3, padding=1))
    second = parametrizations.weight_norm(nn.Conv2d(16, 32, 3, padding=1))
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), head(32))


def group_norm() -> nn.Module:
    """Groups of four maps are normalised together."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.GroupNorm(4, 16), nn.ReLU(),
        nn.Conv2d(16, 32, 3), nn.GroupNorm(8, 32), nn.ReLU(), head(32),
    )  # fmt: skip


def instance_norm() -> nn.Module:
    """Each map of each image is normalised by itself."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.InstanceNorm2d(16, affine=True), nn.ReLU(),
        nn.Conv2d(16, 32, 3), nn.InstanceNorm2d(32), nn.ReLU(), head(32),
    )  # fmt: skip


def transposed() -> nn.Module:
    """Autoencoder of images."""
    return nn.Sequential(
        block(3, 16, 2), block(16, 32, 2),
        nn.ConvTranspose2d(32, 16, 2, 2), nn.BatchNorm2d(16), nn.ReLU(), nn.ConvTranspose2d(16, 3, 2, 2),
    )  # fmt: skip


def one_dimension() -> nn.Module:
    """Convolutions over time."""
    return nn.Sequential(
        nn.Conv1d(4, 16, 5), nn.BatchNorm1d(16), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(16, 32, 3), nn.LeakyReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def three_dimensions() -> nn.Module:
    """Convolutions over a clip."""
    return nn.Sequential(
        nn.Conv3d(3, 16, 3), nn.BatchNorm3d(16), nn.ReLU(), nn.MaxPool3d((1, 2, 2)),
        nn.Conv3d(16, 32, 3), nn.ELU(), nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


def depthwise() -> nn.Module:
    """A filter for each map, then a mixture of the maps."""
    return nn.Sequential(
        block(3, 16), nn.Conv2d(16, 16, 3, padding=1, groups=16), nn.BatchNorm2d(16), nn.ReLU6(),
        nn.Conv2d(16, 32, 1), nn.Hardswish(), nn.Conv2d(32, 64, 3, groups=32), nn.ReLU(), head(64),
    )  # fmt: skip


def grouped() -> nn.Module:
    """Each group of filters reads its own maps."""
    return nn.Sequential(
        block(3, 16), nn.Conv2d(16, 32, 3, groups=4), nn.BatchNorm2d(32), nn.ReLU(), head(32)
    )


def prelu() -> nn.Module:
    """A slope for each map, and one for all."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.PReLU(16), nn.Conv2d(16, 32, 3), nn.BatchNorm2d(32), nn.PReLU(), head(32)
    )


def constants_after_removal() -> nn.Module:
    """Activations that are not zero at zero: a removed unit leaves a constant to the next layer."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.Sigmoid(), nn.Conv2d(16, 32, 3), nn.Softplus(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 64), nn.Sigmoid(), nn.Linear(64, CLASSES),
    )  # fmt: skip
