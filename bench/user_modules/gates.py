"""Products of activations, constants in arithmetic, changes in place."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.user_modules.layers import CLASSES, block, head


class SqueezeAndExcitation(nn.Module):
    """Each map is scaled by what all maps say (Hu et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.squeeze, self.excite = block(3, 32), nn.Conv2d(32, 8, 1), nn.Conv2d(8, 32, 1)
        self.output = head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        scales = self.excite(functional.silu(self.squeeze(features.mean((2, 3), keepdim=True))))
        return self.output(features * scales.sigmoid())


class SpatialAttention(nn.Module):
    """Positions are scaled by the mean and maximum over the maps (CBAM, Woo et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.attend = block(3, 16), nn.Conv2d(2, 1, 7, padding=3)
        self.output = nn.Sequential(block(16, 32), block(32, 32), head(32))

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        summary = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], 1)
        return self.output(features * torch.sigmoid(self.attend(summary)))


class GatedMaps(nn.Module):
    """One half of the maps gates the other: by GLU, and by chunks."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Conv2d(3, 32, 3), nn.Conv2d(16, 64, 3), head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = functional.glu(self.first(images), dim=1)
        values, gates = self.second(features).chunk(2, dim=1)
        return self.output(values * torch.tanh(gates))


class GatedLinear(nn.Module):
    """SwiGLU (Shazeer 2020) behind one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.inner, self.outer = nn.LayerNorm(24), nn.Linear(24, 128), nn.Linear(64, 24)
        self.output = nn.Linear(24, CLASSES)

    def forward(self, values: Tensor) -> Tensor:
        gates, hidden = self.inner(self.norm(values)).split(64, dim=-1)
        return self.output(values + self.outer(functional.silu(gates) * hidden))


class LayerScale(nn.Module):
    """Depthwise convolution, LayerNorm over channels, two linear layers, a scale (Liu et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.depthwise = nn.Conv2d(3, 16, 2, 2), nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.norm, self.inner, self.outer = nn.LayerNorm(16), nn.Linear(16, 64), nn.Linear(64, 16)
        self.scale = nn.Parameter(torch.full((16,), 1e-6))
        self.output = head(16)

    def forward(self, images: Tensor) -> Tensor:
        stream = self.stem(images)
        features = self.norm(self.depthwise(stream).permute(0, 2, 3, 1))
        features = self.scale * self.outer(functional.gelu(self.inner(features)))
        return self.output(stream + features.permute(0, 3, 1, 2))


class InPlace(nn.Module):
    """Sums, activations and assignments that change tensors in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        self.inner, self.output = nn.Conv2d(16, 16, 3, padding=1), head(16)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        inner = self.inner(features).mul_(2)
        inner += features
        return self.output(inner.relu_())


class BuffersInArithmetic(nn.Module):
    """Images are normalised, and maps weighted, by buffers."""

    mean: Tensor
    deviation: Tensor
    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1))
        self.register_buffer("weights", torch.linspace(0.5, 1.5, 16).view(1, 16, 1, 1))
        self.first, self.second, self.output = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3), head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.first((images - self.mean) / self.deviation)
        return self.output(torch.relu(self.second(torch.relu(features) * self.weights)))


class Roll(nn.Module):
    """Parts of the maps are shifted, which mixes neighbours without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.mix, self.output = block(3, 32), block(32, 32), head(32)

    def forward(self, images: Tensor) -> Tensor:
        left, right, down = self.stem(images).split([8, 8, 16], dim=1)
        moved = [left.roll(1, -1), right.roll(-1, -1), torch.roll(down, shifts=(1, 1), dims=(2, 3))]
        return self.output(self.mix(torch.cat(moved, 1)))


class Einsum(nn.Module):
    """A product by an expression, with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.output = nn.Linear(12, 32), nn.Linear(64, CLASSES)
        self.weight = nn.Parameter(torch.randn(64, 32) / 6)

    def forward(self, values: Tensor) -> Tensor:
        hidden = torch.einsum("nti,oi->nto", functional.relu(self.first(values)), self.weight)
        return self.output(functional.relu(hidden).mean(1))
