"""Inputs and outputs of several kinds, and networks that cannot be pruned."""

import torch
from torch import Tensor, nn

from bench.user_modules.layers import CLASSES, block, head


class DictionaryAsOutput(nn.Module):
    """Class scores and features by name."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = block(3, 16), block(16, 32), head(32)
        self.boxes = nn.Conv2d(32, 4, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.second(self.first(images))
        return {"classes": self.output(features), "boxes": self.boxes(features)}


class TupleAsOutput(nn.Module):
    """Two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, 64), nn.Tanh(), nn.Linear(64, 64), nn.ReLU())
        self.policy, self.value = nn.Linear(64, 4), nn.Linear(64, 1)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(states)
        return self.policy(features).softmax(-1), self.value(features).squeeze(-1)


class TwoInputs(nn.Module):
    """An image and a few numbers about it."""

    def __init__(self) -> None:
        super().__init__()
        self.images = nn.Sequential(block(3, 16), block(16, 24), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.numbers, self.hidden = nn.Linear(5, 16), nn.Linear(40, 32)
        self.output = nn.Linear(32, CLASSES)

    def forward(self, images: Tensor, numbers: Tensor) -> Tensor:
        both = torch.cat([self.images(images), torch.relu(self.numbers(numbers))], dim=1)
        return self.output(torch.relu(self.hidden(both)))


class BranchOnValues(nn.Module):
    """The path depends on what the images show."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = block(3, 16), block(16, 16), head(16)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first(images)
        if features.mean() > 0.5:
            features = self.second(features)
        return self.output(features)


class ImagesChangedInPlace(nn.Module):
    """The caller's images are normalised where they lie."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(block(3, 16), block(16, 32), head(32))

    def forward(self, images: Tensor) -> Tensor:
        images -= 0.5
        return self.layers(images)


def one_layer() -> nn.Module:
    """No unit lies between the inputs and the outputs."""
    return nn.Sequential(nn.Flatten(), nn.Linear(12, CLASSES))


class NormalisedStream(nn.Module):
    """Each layer is added to the stream that LayerNorm normalises, so every unit is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.output = nn.Linear(12, 32), nn.Linear(32, CLASSES)
        self.layers = nn.ModuleList([nn.Linear(32, 32) for _ in range(2)])
        self.norm = nn.LayerNorm(32)

    def forward(self, values: Tensor) -> Tensor:
        stream = self.embed(values)
        for layer in self.layers:
            stream = stream + torch.relu(layer(self.norm(stream)))
        return self.output(self.norm(stream))


class WithoutLayers(nn.Module):
    """Parameters, but no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(12))

    def forward(self, values: Tensor) -> Tensor:
        return values * self.scale
