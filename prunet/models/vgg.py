"""VGG-16 for small images."""

from collections import OrderedDict

from torch import nn

from prunet.models import inputs
from prunet.models.inputs import Shape

# Feature maps of each convolution, and the number of convolutions before a pooling.
STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg_16(shape: Shape, classes: int) -> nn.Module:
    """Build VGG-16 (Simonyan & Zisserman 2015, table 1, D) for CIFAR: 13 convolutions and a linear layer.

    The paper's three fully connected layers are meant for images of 224 pixels; small images leave 512
    features, for which one layer is enough. A BatchNorm follows every convolution (as in Li et al. 2017,
    section 4.1). Takes (N, C, H, W) images; has 14,728,266 parameters for 3x32x32 and ten classes.

    Raises:
        InputError: the images have fewer than 32 pixels a side.
    """
    channels, height, width = shape
    inputs.check(min(height, width) >= 32, "vgg-16", "images of at least 32 pixels a side", shape)
    layers = OrderedDict[str, nn.Module]()
    for stage, (maps, count) in enumerate(STAGES, start=1):
        for number in range(1, count + 1):
            layers[f"conv{stage}_{number}"] = nn.Conv2d(channels, maps, 3, padding=1)
            layers[f"norm{stage}_{number}"] = nn.BatchNorm2d(maps)
            layers[f"relu{stage}_{number}"] = nn.ReLU()
            channels = maps
        layers[f"pool{stage}"] = nn.MaxPool2d(2)
    layers["pool"] = nn.AdaptiveAvgPool2d((1, 1))  # larger images than 32 pixels leave more than one position
    layers["flatten"] = nn.Flatten()
    layers["output"] = nn.Linear(channels, classes)
    return nn.Sequential(layers)
