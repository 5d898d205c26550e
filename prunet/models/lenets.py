"""Networks for handwritten digits: fully connected ones, and LeNet-5."""

from collections import OrderedDict

from torch import nn

from prunet.models import inputs
from prunet.models.inputs import Shape


def lenet_300_100(shape: Shape, classes: int) -> nn.Module:
    """Build LeNet-300-100 (LeCun et al. 1998): fully connected, 300 and 100 hidden units, ReLU.

    Takes (N, C, H, W) images of any size; has 266,610 parameters for 28x28 digits.
    """
    return _fully_connected(shape, (300, 100), classes)


def mlp_1000_1000_500_200(shape: Shape, classes: int) -> nn.Module:
    """Build a wide, deep fully connected network: 1000, 1000, 500 and 200 hidden units, ReLU.

    It has units to spare on digits, for comparisons of weight pruning and unit pruning. Takes (N, C, H, W)
    images of any size; has 2,388,710 parameters for 28x28 digits.
    """
    return _fully_connected(shape, (1000, 1000, 500, 200), classes)


def _fully_connected(shape: Shape, hidden: tuple[int, ...], classes: int) -> nn.Module:
    channels, height, width = shape
    layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    features = channels * height * width
    for number, units in enumerate(hidden, start=1):
        layers[f"fc{number}"] = nn.Linear(features, units)
        layers[f"relu{number}"] = nn.ReLU()
        features = units
    layers["output"] = nn.Linear(features, classes)
    return nn.Sequential(layers)


def lenet_5(shape: Shape, classes: int) -> nn.Module:
    """Build LeNet-5 as in Caffe, pruned by Han et al. (2015, table 4): 20 and 50 filters, 500 hidden units.

    The original network (LeCun et al. 1998) has other sizes, subsampling with trained weights, and sigmoids;
    this one has max pooling, and ReLU after the hidden units only. It has 431,080 parameters for 28x28
    digits.

    Raises:
        InputError: the images have fewer than 16 pixels a side.
    """
    channels, height, width = shape
    inputs.check(min(height, width) >= 16, "lenet-5", "images of at least 16 pixels a side", shape)
    positions = _side_after_pooling(height) * _side_after_pooling(width)
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(channels, 20, 5),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(20, 50, 5),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),
            fc1=nn.Linear(50 * positions, 500),
            relu1=nn.ReLU(),
            output=nn.Linear(500, classes),
        )
    )


def _side_after_pooling(side: int) -> int:
    return ((side - 4) // 2 - 4) // 2  # a convolution removes four pixels, a pooling half of them
