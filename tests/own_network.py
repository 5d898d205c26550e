"""Networks as a user brings them: a file of functions that return modules."""

import torch
from torch import nn
from torch.nn import functional

from prunet.models.lenets import lenet_300_100

PIXELS = 64  # of an image of optdigits


def net(num_classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 12), nn.ReLU(), nn.Linear(12, num_classes))


def five():
    return net(5)


def any_arguments(**settings):
    return net(**settings)


def number():
    return 3


def fails():
    raise RuntimeError("no luck\nat all")


def without_layers():
    return nn.Flatten()


def of_doubles():
    return net(10).double()


def lazy():
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(12), nn.ReLU(), nn.LazyLinear(10))


class Net(nn.Module):
    """A body and a head."""

    def __init__(self, head):
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(PIXELS, 12), nn.ReLU())
        self.head = head

    def forward(self, images):
        return self.head(self.body(images))


class Cosine(nn.Module):
    def __init__(self):
        super().__init__()
        self.directions = nn.Parameter(torch.randn(5, 12))

    def forward(self, features):
        return functional.linear(functional.normalize(features), functional.normalize(self.directions))


def cosine():
    return Net(Cosine())


class Scaled(nn.Linear):
    def forward(self, features):
        return 2 * super().forward(features)


def subclass():
    return Net(Scaled(12, 5))


def convolution():
    head = nn.Sequential(nn.Unflatten(1, (12, 1, 1)), nn.Conv2d(12, 5, 1, bias=False), nn.Flatten())
    return Net(head)


class InPlace(Net):
    def forward(self, images):
        return super().forward(images.relu_())


def in_place(num_classes):
    return InPlace(nn.Linear(12, num_classes))


class Dictionary(Net):
    def forward(self, images):
        return {"logits": super().forward(images)}


def dictionary(num_classes):
    return Dictionary(nn.Linear(12, num_classes))


class Pair(Net):
    def forward(self, images):
        features = self.body(images)
        return self.head(features), features


def pair(num_classes):
    return Pair(nn.Linear(12, num_classes))


class Branch(Net):
    def forward(self, images):
        features = self.body(images)
        if features.mean() > 0:
            features = 2 * features
        return self.head(features)


def branch(num_classes):
    return Branch(nn.Linear(12, num_classes))


class Map(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3)

    def forward(self, images):
        return self.conv(images)


def image_to_image():
    return Map()


class Tied(nn.Module):
    """Two linear layers with the same weight; a frozen table; a parameter that nothing uses."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.first = nn.Linear(PIXELS, 12)
        self.second = nn.Linear(12, 12)
        self.third = nn.Linear(12, 12, bias=False)
        self.third.weight = self.second.weight
        self.table = nn.Parameter(torch.randn(12), requires_grad=False)
        self.unused = nn.Parameter(torch.randn(3))
        self.register_buffer("mask", torch.ones(12, dtype=torch.bool))
        self.head = nn.Linear(12, num_classes)

    def forward(self, images):
        features = self.first(images.flatten(1)).relu() + self.table
        features = self.third(self.second(features).relu()).relu()
        logits = self.head(features.where(self.mask, 0.0))
        return (logits, features) if self.training else logits


class VisionTransformer(nn.Module):
    """Patches of 4x4 pixels, a class token, learned positions, scales of layers, and attention."""

    def __init__(self, num_classes=10):
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, 4)
        self.token = nn.Parameter(torch.full((1, 1, 8), 0.25))
        self.positions = nn.Parameter(0.02 * torch.randn(1, 5, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.scale = nn.Parameter(torch.full((8,), 0.1))
        self.register_buffer("order", torch.arange(5).flip(0))
        self.head = nn.Linear(8, num_classes)

    def forward(self, images):
        patches = self.patches(images).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(patches), -1, -1), patches], 1) + self.positions
        return self.head((self.scale * self.block(tokens[:, self.order]))[:, -1])


def lenet(num_classes):
    return lenet_300_100((1, 8, 8), num_classes)


def normed(num_classes=3):
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(64, num_classes)),
    )
