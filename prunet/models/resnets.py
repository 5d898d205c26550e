"""Residual networks (He et al. 2016): ResNet-20 and ResNet-56 for small images, ResNet-50 for large ones."""

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional

from prunet.models import inputs
from prunet.models.inputs import Shape


class Shortcut(nn.Module):
    """Parameter-free shortcut where feature maps double and sides halve (section 3.3, option A).

    It keeps every second row and column and appends maps of zeros.
    """

    def __init__(self, added: int) -> None:
        super().__init__()
        self.added = added

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, n, H, W) to (N, n + added, H / 2, W / 2), odd sides rounded up."""
        return functional.pad(features[:, :, ::2, ::2], (0, 0, 0, 0, 0, self.added))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions added to their input (section 4.2); sides halve where maps double."""

    def __init__(self, channels: int, maps: int) -> None:
        super().__init__()
        stride = 1 if channels == maps else 2
        self.conv1 = nn.Conv2d(channels, maps, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(maps)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(maps, maps, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(maps)
        self.shortcut = None if channels == maps else Shortcut(maps - channels)
        self.relu2 = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, channels, H, W) to (N, maps, H, W), or to half the sides where maps double."""
        shortcut = features if self.shortcut is None else self.shortcut(features)
        residual = self.norm2(self.conv2(self.relu1(self.norm1(self.conv1(features)))))
        return self.relu2(residual + shortcut)  # type: ignore[no-any-return]


def resnet_20(shape: Shape, classes: int) -> nn.Module:
    """Build ResNet-20 for CIFAR-10 (He et al. 2016, section 4.2): 19 convolutions and a linear layer.

    Takes (N, C, H, W) images; has 269,722 parameters for 3x32x32 and ten classes (published: 0.27M).

    Raises:
        InputError: the images have fewer than 8 pixels a side.
    """
    return _resnet("resnet-20", shape, classes, blocks=3)


def resnet_56(shape: Shape, classes: int) -> nn.Module:
    """Build ResNet-56 for CIFAR-10 (He et al. 2016, section 4.2): 55 convolutions and a linear layer.

    Takes (N, C, H, W) images; has 853,018 parameters for 3x32x32 and ten classes (published: 0.85M).

    Raises:
        InputError: the images have fewer than 8 pixels a side.
    """
    return _resnet("resnet-56", shape, classes, blocks=9)


def _resnet(name: str, shape: Shape, classes: int, blocks: int) -> nn.Module:
    # Below 8 pixels the last maps have one pixel, which BatchNorm cannot normalise in a batch of one image.
    inputs.check(min(shape[1:]) >= 8, name, "images of at least 8 pixels a side", shape)
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(shape[0], 16, 3, padding=1, bias=False), norm1=nn.BatchNorm2d(16), relu1=nn.ReLU()
    )
    channels = 16
    for stage, maps in enumerate((16, 32, 64), start=1):
        for number in range(1, blocks + 1):
            layers[f"block{stage}_{number}"] = BasicBlock(channels, maps)
            channels = maps
    layers["pool"] = nn.AdaptiveAvgPool2d((1, 1))
    layers["flatten"] = nn.Flatten()
    layers["output"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)


def resnet_50(shape: Shape, classes: int) -> nn.Module:
    """Build torchvision's ResNet-50 for ImageNet (He et al. 2016, table 1), with its layer names.

    Its strided convolution is the second of a block, not the first as in the paper. Takes (N, 3, H, W)
    images; has 25,557,032 parameters for 1000 classes.

    Raises:
        InputError: the images are not in colour, or have fewer than 64 pixels a side.
    """
    channels, height, width = shape
    fits = channels == 3 and min(height, width) >= 64
    inputs.check(fits, "resnet-50", "colour images of at least 64 pixels a side", shape)
    from torchvision.models import resnet50  # slow to import, and crashes beside TensorFlow

    return resnet50(weights=None, num_classes=classes)  # type: ignore[no-any-return]
