"""Several paths: shared layers, sums, concatenations, slices."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.user_modules.layers import CLASSES, block, head


class LayerUsedTwice(nn.Module):
    """One convolution and one linear layer are called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shared, self.hidden = block(3, 16), nn.Conv2d(16, 16, 3, padding=1), nn.Linear(16, 16)
        self.output = nn.Linear(16, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.relu(self.shared(self.stem(images)))
        features = torch.relu(self.shared(features)).mean((2, 3))
        return self.output(torch.relu(self.hidden(torch.relu(self.hidden(features)))))


class Concatenation(nn.Module):
    """Branches of several sizes side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = block(3, 16)
        self.branches = nn.ModuleList(
            [nn.Conv2d(16, 8, 1), block(16, 24), nn.Sequential(nn.MaxPool2d(3, 1, 1))]
        )
        self.mixture, self.output = block(48, 32), head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        return self.output(self.mixture(torch.cat([branch(features) for branch in self.branches], dim=1)))


class DenseConnection(nn.Module):
    """Every layer reads all layers before it."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([block(3 + 16 * number, 16) for number in range(4)])
        self.output = head(3 + 16 * 4)

    def forward(self, images: Tensor) -> Tensor:
        features = images
        for layer in self.layers:
            features = torch.cat((features, layer(features)), 1)
        return self.output(features)


class TiedWeights(nn.Module):
    """The decoder is the transposed encoder."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.middle = nn.Linear(20, 48), nn.Linear(48, 24)
        self.middle_bias, self.output_bias = nn.Parameter(torch.zeros(48)), nn.Parameter(torch.zeros(20))

    def forward(self, values: Tensor) -> Tensor:
        code = torch.relu(self.middle(torch.relu(self.encoder(values))))
        hidden = torch.relu(functional.linear(code, self.middle.weight.t(), self.middle_bias))
        return functional.linear(hidden, self.encoder.weight.t(), self.output_bias)


class Residual(nn.Module):
    """Sums, the second with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = block(3, 16), nn.Sequential(block(16, 24), nn.Conv2d(24, 16, 3, padding=1))
        self.second, self.projection = block(16, 32, 2), nn.Conv2d(16, 32, 1, 2)
        self.output = head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        features = torch.relu(self.first(features) + features)
        return self.output(self.second(features) + self.projection(features))


class PaddedShortcut(nn.Module):
    """Shortcut that appends maps of zeros (He et al. 2016, option A)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.output = block(3, 16), block(16, 32, 2), head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        shortcut = functional.pad(features[:, :, ::2, ::2], (0, 0, 0, 0, 8, 8))
        return self.output(torch.relu(self.inner(features) + shortcut))


class UNet(nn.Module):
    """Down and up again, with skip connections."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.bottom, self.up = block(3, 16), block(16, 32), nn.ConvTranspose2d(32, 16, 2, 2)
        self.merge, self.output = block(32, 16), nn.Conv2d(16, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        shallow = self.down(images)
        deep = self.bottom(functional.max_pool2d(shallow, 2))
        return self.output(self.merge(torch.cat([self.up(deep), shallow], dim=1)))


class FeaturePyramid(nn.Module):
    """Upsampled deep maps are added to shallow ones."""

    def __init__(self) -> None:
        super().__init__()
        self.shallow, self.deep = block(3, 16), block(16, 32, 2)
        self.sides = nn.ModuleList([nn.Conv2d(16, 24, 1), nn.Conv2d(32, 24, 1)])
        self.output = nn.Conv2d(24, 2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        shallow = self.shallow(images)
        deep = self.sides[1](self.deep(shallow))
        return self.output(
            self.sides[0](shallow) + functional.interpolate(deep, scale_factor=2, mode="nearest")
        )


class Slices(nn.Module):
    """The first maps go through a layer, the others around it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.output = block(3, 32), block(12, 12), head(32)

    def forward(self, images: Tensor) -> Tensor:
        features = self.stem(images)
        return self.output(torch.cat([self.inner(features[:, :12]), features[:, 12:]], 1))


class ChannelShuffle(nn.Module):
    """Half of the maps pass, then both halves are interleaved (Ma et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.output = block(3, 32), block(16, 16), block(32, 32)
        self.head = head(32)

    def forward(self, images: Tensor) -> Tensor:
        passed, changed = self.stem(images).chunk(2, dim=1)
        features = torch.cat([passed, self.inner(changed)], dim=1)
        count, maps, height, width = features.shape
        features = features.view(count, 2, maps // 2, height, width).transpose(1, 2).contiguous()
        return self.head(self.output(features.view(count, -1, height, width)))


class PixelShuffle(nn.Module):
    """Maps become pixels: an image of twice the sides."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(block(3, 32), block(32, 32), nn.Conv2d(32, 64, 3, padding=1))
        self.output = nn.Conv2d(16, 3, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.output(torch.relu(functional.pixel_shuffle(self.features(images), 2)))


class Maxout(nn.Module):
    """The larger one of each two maps (max-feature-map)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.output = nn.Conv2d(3, 32, 3), nn.Conv2d(16, 48, 3), head(24)

    def forward(self, images: Tensor) -> Tensor:
        features = torch.maximum(*self.first(images).chunk(2, 1))
        features = self.second(features)
        return self.output(features.view(len(features), 2, 24, *features.shape[2:]).amax(1))
